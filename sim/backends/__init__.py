"""Backends: each runs a `neuro.spec.sigma_delta.NetworkSpec` and returns the same integers. See `base` for the
contract.
"""
