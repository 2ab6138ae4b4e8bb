"""Models in files that need none of their Python code, and only those that answer as the model does."""
