"""Differentiable twins of networks, whose forward pass is their integers."""
