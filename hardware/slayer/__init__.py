"""The usual competitor: a feed-forward network trained by backpropagation in lava-dl's SLAYER."""
