"""How models are called: adapters, the ladder, prices. Async lives here and in the server only."""
