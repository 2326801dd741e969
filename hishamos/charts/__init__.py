"""Rows in, one figure out: interactive for live use, static for frozen cards; and the words and numbers that every face shares."""
