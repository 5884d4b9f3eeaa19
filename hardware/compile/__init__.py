"""From a run to a deployment: placed, checked, priced."""
