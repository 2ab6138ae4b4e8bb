"""What this machine has for trajectories, and what is wrong with it."""
