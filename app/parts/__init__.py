"""What pages share: the connection, the page head, tables."""
