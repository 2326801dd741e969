"""Functions that the shipped workflows call, one module a subject."""
