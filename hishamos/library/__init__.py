"""The shipped library: agents, commands and workflows as YAML, and the functions that its workflows call."""
