"""Models that the driver serves."""
