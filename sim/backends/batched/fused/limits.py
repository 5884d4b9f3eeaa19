"""What all kernels have in common: numbers that int8 holds, units as tuples that kernels are compiled for, silence."""

from __future__ import annotations

from collections.abc import Iterable

from neuro.spec.neurons import SigmaDelta

NARROW = 127  # the largest payload in int8


def unit_numbers(unit: SigmaDelta) -> tuple[int, ...]:
    """lower, upper, step_multiplier, step_shift, threshold, hard, send_shift."""
    return (
        unit.lower, unit.upper, unit.step_multiplier, unit.step_shift, unit.threshold, int(unit.hard), unit.send_shift,
    )  # fmt: skip


def patience(parities: Iterable[int]) -> int:
    """Steps without a change after which no later one changes anything: all populations have had their turn."""
    return 1 if max(parities) < 0 else 2
