"""Equilibrium propagation: one file for each way to compute."""
