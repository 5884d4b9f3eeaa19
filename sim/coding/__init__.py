"""Learning and measuring sparse coders."""
