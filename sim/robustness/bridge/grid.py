"""The grid on which an encoder sees pixels, beside the sizes of an attack: what is its rounding, and no robustness."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

from neuro.base.arrays import Array
from neuro.front_ends.pixels import PixelEncoder
from sim.robustness.attacks.threats import Threat
from sim.robustness.judging.constancy import constant, payload_unit


@dataclass(frozen=True)
class Grid:
    """How sizes lie on the grid of an encoder.

    payload_unit: distance of its steps, in pixels of 0..1. constant: by size, the share of images whose payloads no
    change of that size can change, so that the answer is certified, for free. warnings: sizes that say little.
    """

    payload_unit: float
    constant: dict[str, float]
    warnings: list[str]

    def to_json(self) -> dict[str, Any]:
        """The same as plain objects."""
        return asdict(self)

    def lines(self) -> list[tuple[str, str]]:
        """What a report says."""
        certified = [f"{share:.4f} at {eps}" for eps, share in self.constant.items() if share > 0]
        more = f"; certified, payloads cannot change: {', '.join(certified)}" if certified else ""
        return [("payload unit", f"{self.payload_unit:g} of a pixel's range{more}"), *(("", w) for w in self.warnings)]


def grid_of(encoder: PixelEncoder, images: Array, threats: tuple[Threat, ...]) -> Grid | None:
    """How threats lie on the grid; None where no payload of the encoder belongs to one pixel.

    Args: images of shape [B, ...], uint8 or float in [0, 1]; threats of one norm, in order of eps.
    """
    if not encoder.by_pixel:
        return None
    unit = payload_unit(encoder)
    shares = {f"{t.eps:g}": float(constant(encoder, images, min(t.eps, 1.0)).mean()) for t in threats}
    warnings = [
        f"{threat} is less than half a payload unit: a pixel on the grid cannot change; what is left is rounding"
        for threat in threats
        if threat.eps < unit / 2
    ]
    steps = [math.floor(threat.eps / unit + 0.5) for threat in threats if threat.norm == "linf"]
    for first, second, step, after in zip(threats, threats[1:], steps, steps[1:], strict=False):
        if step == after:
            warnings.append(f"{first} and {second} move a pixel on the grid alike, by {step} payload units")
    return Grid(unit, shares, warnings)
