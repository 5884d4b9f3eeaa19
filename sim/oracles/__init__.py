"""Float models, the truth that integers are held to."""
