"""Neurons and synapses on cores."""
