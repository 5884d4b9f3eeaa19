"""The chip as data: limits with sources, micro-operations, patterns, blocks of synaptic memory."""
