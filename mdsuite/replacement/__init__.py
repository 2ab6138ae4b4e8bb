"""Whether a model may be put in the place of another."""
