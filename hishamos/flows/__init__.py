"""Workflows in Python: the same definitions as in YAML, said by a builder with completion."""
