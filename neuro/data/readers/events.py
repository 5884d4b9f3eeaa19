"""Events of a sensor, each of a place, a time and a polarity, as counts per place and polarity."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from neuro.base.arrays import AnyArray, Int32, Int64
from neuro.base.errors import UserError

PLACES, POLARITY = ("x", "y"), "p"


def is_events(values: Any) -> bool:
    """Whether these are events: a structured array with a field x."""
    names = getattr(getattr(values, "dtype", None), "names", None)
    return names is not None and "x" in names


def event_counts(events: AnyArray, sensor_size: tuple[int, int, int], place: str) -> Int32:
    """The number of events of every pixel and polarity over a whole recording.

    counts[y, x, p] = #{events at (x, y) of polarity p}: the sum is the number of events, their order and time do
    not matter.

    Args:    events: structured, with fields x, perhaps y and p; polarities 0.. or -1 and 1. sensor_size: width,
             height, number of polarities.
    Returns: of shape [height, width, polarities], without the axes height and polarities where they are 1.
    Raises:  UserError if an event lies outside the sensor.
    """
    width, height, n_polarities = sensor_size
    names = events.dtype.names or ()
    x, y = (_field(events, name, name in names) for name in PLACES)
    polarity = np.maximum(_field(events, POLARITY, POLARITY in names and n_polarities > 1), 0)
    for name, values, end in (("x", x, width), ("y", y, height), (POLARITY, polarity, n_polarities)):
        if len(values) and (values.min() < 0 or values.max() >= end):
            raise UserError(
                f"{place}: events with {name} in {values.min()}..{values.max()}, outside 0..{end - 1}; set sensor_size"
            )
    index = (y * width + x) * n_polarities + polarity
    counts = np.bincount(index, minlength=height * width * n_polarities).astype(np.int32)
    shape = [height, width, n_polarities]
    return counts.reshape([n for axis, n in enumerate(shape) if n > 1 or axis == 1])


def _field(events: AnyArray, name: str, exists: bool) -> Int64:
    return np.asarray(events[name], np.int64) if exists else np.zeros(len(events), np.int64)


def binning(sensor_size: tuple[int, int, int]) -> str:
    """How events were binned, in one line."""
    width, height, n_polarities = sensor_size
    return (
        f"events of a whole recording are counted for each of {width} x {height} pixels and {n_polarities} "
        f"{'polarities' if n_polarities > 1 else 'polarity'}; when they came is not used"
    )


def sensor_of(dataset: Any, place: str) -> tuple[int, int, int]:
    """Width, height and number of polarities of the sensor that a data set's events are of.

    Raises: UserError if it does not say.
    """
    size = getattr(dataset, "sensor_size", None)
    if isinstance(size, Mapping) or size is None or len(size) != 3:
        raise UserError(f"{place}: its sensor_size is {size}; set it to (width, height, polarities)")
    width, height, n_polarities = size
    return int(width), int(height or 1), int(n_polarities)
