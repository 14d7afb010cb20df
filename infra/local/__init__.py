"""The stack on a laptop."""
