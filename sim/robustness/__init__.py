"""What an attacker can do to a network, and whether to believe it."""
