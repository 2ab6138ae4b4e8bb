"""An i-PI driver that serves machine-learned interatomic potentials."""
