"""Executes one notebook in a process of its own."""
