"""Networks beside neurons: recordings as teachers, and how like them a network answers."""
