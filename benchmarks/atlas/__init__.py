"""Mechanism against measure: the table of `settle atlas`."""
