"""What a network is: specifications, integer arithmetic, neuron models, local learning rules, data and artifacts.

Nothing in this package runs a network in time; that is what `sim` does.
"""
