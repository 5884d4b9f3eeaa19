"""Networks of sigma-delta units as data: graph, projections, schedule, checks."""
