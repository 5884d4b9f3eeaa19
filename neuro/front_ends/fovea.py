"""Retinal sampling: what an eye sees of an image from several fixations, at several scales, as integer weights.

Sample u of a grid over [-1, 1] along each axis lies at

    x = fixation + REACH sign(u) (exp(k |u|) - 1) / (exp(k) - 1),    k = log(RATIO),

in units of half the image, so that samples are RATIO times as dense at the fixation as at the rim. Each is the mean of
the image under a Gaussian whose deviation is half the distance of its neighbours; scale s has a grid coarser by 2**s,
and as much more blur. Beyond the border there is black. Weights of a sample are int8 and sum to 2**WEIGHT_EXPONENT
inside the image: nothing is learned.

Control "uniform": the same fixations, scales and grids with equal distances and one blur, the mean one.

Source: Reddy et al. 2020 (retinal fixations, cortical scales); the law of distances and all constants are ours.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from neuro.base.arrays import AnyArray, Int8, Reals
from neuro.base.checks import Range, require_choice
from neuro.base.errors import UserError
from neuro.front_ends.fixed import planes_of

WEIGHT_EXPONENT = 7
RATIO = 4.0  # density at the fixation against that at the rim
REACH = 1.0  # of half the image
NEAREST = 0.5  # fixations beside the centre, in half the image, along the diagonals
BLUR = 0.5  # of the distance of samples
FOVEAL, UNIFORM = "foveal", "uniform"
SAMPLINGS = {FOVEAL: "dense at the fixation", UNIFORM: "equal distances and blur: a control"}
FIXATIONS = ((0.0, 0.0), (-NEAREST, -NEAREST), (-NEAREST, NEAREST), (NEAREST, -NEAREST), (NEAREST, NEAREST))
SMALLEST = 6  # pixels along a side


@dataclass(frozen=True, kw_only=True)
class FoveaChoices:
    """What may be asked for: `fovea:fixations=5,scales=3`; grid: samples along a side at the finest scale, 0: half
    the pixels; fixations: the centre, then the corners of a square around it.
    """

    fixations: int = 5
    scales: int = 3
    grid: int = 0
    sampling: str = FOVEAL

    def __post_init__(self) -> None:
        owner = "front end fovea"
        Range(1, len(FIXATIONS)).require(owner, fixations=self.fixations)
        Range(1, 4).require(owner, scales=self.scales)
        Range(0, 64).require(owner, grid=self.grid)
        require_choice(f"{owner}: sampling", self.sampling, SAMPLINGS)

    @property
    def text(self) -> str:
        """As asked for, every choice stated."""
        names = ("fixations", "scales", "grid", "sampling")
        return f"fovea:{','.join(f'{name}={getattr(self, name)}' for name in names)}"


def resampling(choices: FoveaChoices, image_shape: tuple[int, ...]) -> Int8:
    """Weights of shape [pixels, samples], times 2**-WEIGHT_EXPONENT; samples of a channel apart from another's.

    Raises: UserError if images have no rows and columns, or too few.
    """
    height, width = planes_of("fovea", image_shape)
    if min(height, width) < SMALLEST:
        raise UserError(f"front end fovea: images of {height} x {width} pixels; give at least {SMALLEST} along a side")
    grid = choices.grid or min(height, width) // 2
    blocks = []
    for fixation in FIXATIONS[: choices.fixations]:
        for scale in range(choices.scales):
            n = max(grid >> scale, 2)
            rows, columns = (
                _axis(n, fixation[axis], length, choices.sampling) for axis, length in enumerate((height, width))
            )
            blocks.append(np.einsum("ri,cj->ijrc", rows, columns).reshape(height * width, n * n))
    channels = math.prod(image_shape[2:])
    plane = _whole(np.concatenate(blocks, axis=1))
    every: Int8 = np.einsum("ps,cd->pcsd", plane, np.eye(channels, dtype=np.int8)).reshape(
        height * width * channels, -1
    )
    return every


def n_samples(choices: FoveaChoices, image_shape: tuple[int, ...]) -> int:
    """Samples of one channel."""
    grid = choices.grid or min(image_shape[:2]) // 2
    return choices.fixations * sum(max(grid >> scale, 2) ** 2 for scale in range(choices.scales))


def places(n: int, fixation: float, length: int, sampling: str) -> tuple[Reals, Reals]:
    """Where n samples along an axis of `length` pixels lie, and their distances, in pixels; each of shape [n]."""
    u = (np.arange(n) + 0.5) * 2.0 / n - 1.0
    half = length / 2.0
    if sampling == UNIFORM:
        at, distance = u, np.full(n, 2.0 / n)
    else:
        k = math.log(RATIO)
        at = np.sign(u) * np.expm1(k * np.abs(u)) / (RATIO - 1.0)
        distance = k * np.exp(k * np.abs(u)) / (RATIO - 1.0) * 2.0 / n
    return half * (1.0 + fixation + REACH * at) - 0.5, half * REACH * distance


def _axis(n: int, fixation: float, length: int, sampling: str) -> Reals:
    """The mean that each sample takes along an axis, of shape [n, pixels]: rows sum to 1, less at the border."""
    at, distance = places(n, fixation, length, sampling)
    deviation = np.maximum(BLUR * distance, 0.3)[:, None]
    reach = math.ceil(4 * float(deviation.max()))
    pixels = np.arange(-reach, length + reach)
    weights = np.exp(-((pixels - at[:, None]) ** 2) / (2.0 * deviation**2))
    weights /= weights.sum(axis=1, keepdims=True)
    return np.asarray(weights[:, reach : reach + length])


def _whole(real: Reals) -> Int8:
    """Whole weights whose sum over each sample is that of the real ones, rounded: largest remainders go up."""
    scaled = real * 2.0**WEIGHT_EXPONENT
    floor = np.floor(scaled)
    missing = np.round(scaled.sum(axis=0) - floor.sum(axis=0)).astype(np.int64)
    order: AnyArray = np.argsort(floor - scaled, axis=0, kind="stable")
    ranks = np.empty_like(order)
    np.put_along_axis(ranks, order, np.broadcast_to(np.arange(len(real))[:, None], order.shape), axis=0)
    whole: Any = floor + (ranks < missing[None])
    weights: Int8 = np.minimum(whole, 127).astype(np.int8)
    return weights
