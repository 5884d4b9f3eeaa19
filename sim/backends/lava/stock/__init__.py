"""Stock networks, their learning included, as Lava graphs."""
