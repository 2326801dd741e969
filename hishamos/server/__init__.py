"""The workspace server: one process per workspace owns the store, the provider connections and the running workflows."""
