"""Files that go with a prompt: looked at when they are handed in, read when they are sent."""
