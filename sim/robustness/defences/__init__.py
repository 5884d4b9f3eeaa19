"""Adversarial training, baselines."""
