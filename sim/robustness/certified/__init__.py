"""Certificates: lower bounds by randomised smoothing of the deployed integers, and images that no change can reach."""
