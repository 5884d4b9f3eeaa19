"""Data sets: built in, downloaded, decoded, or a file of your own."""
