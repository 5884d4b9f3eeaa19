"""Runs written for other tools, proved before they are written."""
