"""Static checks: what a potential is found to be without a trajectory, from the outside.

A potential is a function from a configuration to energy, forces and virial. It may remember, be noisy, compute in
single precision, raise, or answer with NaN. Every check measures its own noise and says it in the interval.
"""
