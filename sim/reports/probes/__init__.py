"""What a page shows of a run, measured."""
