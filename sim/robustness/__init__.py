"""What an attacker can do, and whether to believe it: a differentiable twin of a network, attacks, a verdict."""
