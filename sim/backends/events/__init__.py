"""The fast backend: event-driven kernels compiled by numba."""
