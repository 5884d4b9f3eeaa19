"""Backends: each runs a `neuro.spec.NetworkSpec` and returns the same integers. See `base` for the contract."""
