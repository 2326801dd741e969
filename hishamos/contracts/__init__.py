"""What services promise: one Protocol per service, the mark on each verb, and the ports of the rooms below."""
