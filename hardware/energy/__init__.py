"""Counts of a deployment and the band of energy and time they cost."""
