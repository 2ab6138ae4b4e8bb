"""Linear models fitted to energies, forces and virials."""
