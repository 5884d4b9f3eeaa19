"""Sigma-delta networks as Lava graphs."""
