"""The page of a deployment and its figures."""
