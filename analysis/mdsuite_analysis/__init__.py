"""Measurements of molecular dynamics trajectories and of models."""
