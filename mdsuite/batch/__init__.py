"""Campaigns as jobs of a scheduler: shards, scripts, their state and their end."""
