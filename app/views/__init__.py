"""One file a page; each is registered in ``main.py``."""
