"""Decides whether a machine-learned interatomic potential may be trusted in production MD."""

__version__ = "0.1.0"
