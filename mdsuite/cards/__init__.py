"""Model cards made of what was measured."""
