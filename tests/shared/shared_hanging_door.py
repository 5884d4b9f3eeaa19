"""A door behind which a board never answers."""

from shared_door import FLUSH_STEPS, clear, from_chip, hang, profiler, to_chip

__all__ = ["FLUSH_STEPS", "clear", "from_chip", "profiler", "run_configuration", "to_chip"]


def run_configuration() -> None:
    hang()
