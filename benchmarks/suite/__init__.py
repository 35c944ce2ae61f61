"""What is measured, one bench to a module: from a ``Setting`` and the tools to a printed table."""
