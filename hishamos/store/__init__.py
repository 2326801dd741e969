"""Where things are kept: connectors, numbered migrations, named SQL."""
