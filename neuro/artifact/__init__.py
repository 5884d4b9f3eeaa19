"""Runs on disk: a folder of arrays and a manifest, one file a kind of network; NIR graphs."""
