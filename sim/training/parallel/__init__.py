"""Training by many: sweeps, clusters, data parallel."""
