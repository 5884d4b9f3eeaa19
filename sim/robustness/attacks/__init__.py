"""Attacks: losses, gradients, searches, suites."""
