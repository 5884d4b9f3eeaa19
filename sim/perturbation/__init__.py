"""What the world does to images: corruptions of a data set, and what they cost a network."""
