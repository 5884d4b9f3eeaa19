"""The process that runs Lava, and the watch over it."""
