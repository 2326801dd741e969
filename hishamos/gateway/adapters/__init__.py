"""Adapters: one verb each, ``stream(request)``. Found by a provider's kind, or by entry points of the group ``hishamos.adapters``."""
