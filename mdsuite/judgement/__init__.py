"""Measurements judged by criteria."""
