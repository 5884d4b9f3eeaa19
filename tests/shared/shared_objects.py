"""Objects of every kind that a Python call takes, with the data of `shared_sources`."""

from __future__ import annotations

import types
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from shared_sources import CLASSES, PARTS, SIDE, Arrays


class Samples:
    """As a Dataset of torch, without being one: image and label by index."""

    def __init__(self, data: Arrays, part: str) -> None:
        self.x, self.y = data[f"x_{part}"], data[f"y_{part}"]

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, index: int) -> Any:
        return self.x[index], int(self.y[index])


class HuggingFace(Samples):
    """As a Dataset of Hugging Face."""

    column_names = ("pixels", "label")
    features = types.MappingProxyType({"pixels": "Array2D", "label": "ClassLabel"})

    def __getitem__(self, column: Any) -> Any:
        return {"pixels": self.x, "label": self.y}[column].tolist()


class Recordings(Samples):
    """As a data set of tonic: as many events at a pixel as its brightness, divided by 16."""

    sensor_size = (SIDE, SIDE, 2)

    def __getitem__(self, index: int) -> Any:
        counts = self.x[index].ravel() // 16
        place = np.repeat(np.arange(SIDE * SIDE), counts)
        events = np.zeros(len(place), [("x", int), ("y", int), ("t", int), ("p", int)])
        events["x"], events["y"] = place % SIDE, place // SIDE
        return events, int(self.y[index])


def loader(data: Arrays, part: str) -> Any:
    import torch

    return torch.utils.data.DataLoader(Samples(data, part), batch_size=16, shuffle=True)


def frame(data: Arrays) -> Any:
    pandas = pytest.importorskip("pandas")
    table = {f"pixel{k}": column for k, column in enumerate(data["x_train"].reshape(-1, SIDE * SIDE).T)}
    return pandas.DataFrame({**table, "species": np.array(CLASSES)[data["y_train"]]})


def tensors(data: Arrays) -> Any:
    import torch

    return tuple(torch.from_numpy(data[f"{role}_train"].copy()) for role in "xy")


OBJECTS: dict[str, Callable[[Arrays], Any]] = {
    "arrays": lambda data: tuple(data.values()),
    "lists": lambda data: list(zip(data["x_train"].tolist(), data["y_train"].tolist(), strict=True)),
    "a mapping": lambda data: {"train": {"image": data["x_train"], "label": data["y_train"]}},
    "tensors": tensors,
    "a Dataset of torch": lambda data: (Samples(data, "train"), Samples(data, "test")),
    "a DataLoader": lambda data: (loader(data, "train"), loader(data, "test")),
    "Hugging Face": lambda data: {part: HuggingFace(data, part) for part in PARTS},
    "a data frame": frame,
    "a Dataset of events": lambda data: (Recordings(data, "train"), Recordings(data, "test")),
}
