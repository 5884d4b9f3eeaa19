"""Sizes of a change in the units of a user's own data, and in those of pixels in 0..1, which attacks take."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from neuro.base.errors import UserError
from neuro.data.rescaling import BYTE
from neuro.data.sets import Dataset
from sim.robustness.attacks.threats import Threat
from sim.robustness.bridge.config import AttackConfig, default_images

SHOWN = 4  # features


def resolved(config: AttackConfig, dataset: Dataset) -> AttackConfig:
    """The configuration with sizes in pixels, and as many images as there are where nobody said how many.

    Raises: UserError if the features of the data have units of their own, so that no one size is in all of them.
    """
    if config.images is None:
        config = replace(config, images=min(default_images(config.score), len(dataset.y_test)))
    if config.eps_units == "pixel":
        return config
    if dataset.preparation.by_feature:
        words = own_units(Threat(config.norm, 0.1), dataset)
        raise UserError(
            f"eps_units data: every feature of {dataset.name} has units of its own; give --eps as a share of the "
            f"training range of each, e.g. 0.1: {words}"
        )
    return replace(config, eps=tuple(eps / unit_of(dataset) for eps in config.eps), eps_units="pixel")


def unit_of(dataset: Dataset) -> float:
    """How much of the data's own units the pixels 0..1 span, where it is the same for all."""
    rescaling = dataset.preparation.rescaling
    if rescaling is not None:
        return float(rescaling.range.width)
    return float(BYTE) if dataset.x_train.dtype == np.uint8 else 1.0


def own_units(threat: Threat, dataset: Dataset) -> str:
    """The size of a threat in the units of the data, in words; "" where these are pixels in 0..1."""
    rescaling = dataset.preparation.rescaling
    if rescaling is None and dataset.x_train.dtype != np.uint8:
        return ""
    if rescaling is None or not rescaling.by_feature:
        low = 0.0 if rescaling is None else float(rescaling.range.low)
        unit = unit_of(dataset)
        return f"{threat.eps * unit:g} of {low:g}..{low + unit:g}"
    sizes = [f"{threat.eps * width:.3g}" for width in rescaling.range.width[:SHOWN]]
    count = rescaling.range.width.size
    more = "" if count <= SHOWN else f", .. ({count} features)"
    alone = " if it moves alone" if threat.norm == "l2" else ""
    return f"{threat.eps:.1%} of each feature's training range{alone}: +-{', '.join(sizes)}{more}"
