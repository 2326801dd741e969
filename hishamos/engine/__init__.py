"""How work is done: rendering, the steps, the runner. Sees only the journal's and the gateway's contracts."""
