"""Laws that every backend is held to."""
