"""Sparse coders: what they are, one file for each way to compute, and their dictionaries."""
