"""What things are: frozen pydantic models without I/O."""
