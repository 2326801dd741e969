"""What one may do: each service checks the permission, acts, writes the event, returns records."""
