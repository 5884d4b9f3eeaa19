"""Samples one after the other: data sets and loaders of torch, Hugging Face and tonic, lists; read to a bound."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from neuro.base.arrays import Array
from neuro.base.errors import UserError
from neuro.base.memory import require_bytes
from neuro.data.readers.arrays import as_array
from neuro.data.readers.events import binning, event_counts, is_events, sensor_of
from neuro.data.readers.keys import choose
from neuro.data.readers.parts import Part
from neuro.data.readers.records import is_picture

ONE_BY_ONE = ("SequentialSampler", "RandomSampler")
PAIR = "samples must be (image, label) or mappings with these names"


def is_loader(data: Any) -> bool:
    """Whether this gives batches, as torch's DataLoader does."""
    return hasattr(data, "dataset") and hasattr(data, "batch_size") and hasattr(data, "__iter__")


def is_dataset(data: Any) -> bool:
    """Whether this gives samples, as torch's Dataset does: by index, or one after the other."""
    if isinstance(data, (str, bytes, Mapping, tuple, list)) or hasattr(data, "__array__") or hasattr(data, "columns"):
        return False
    return hasattr(data, "__getitem__") or hasattr(data, "__iter__")


def part_of_samples(data: Any, place: str) -> Part:
    """Images and labels of a data set, a loader, or any other sequence of samples.

    A loader that only shuffles is read in the order of its data set; one with a sampler or a collate function of its
    own as it comes. Raises: UserError if a sample is no pair, or all together are more than may be read.
    """
    tensors = getattr(data, "tensors", None)
    if isinstance(tensors, (tuple, list)) and len(tensors) == 2:
        return Part(as_array(tensors[0], place), as_array(tensors[1], place))
    if is_loader(data):
        plain = _of_plain_loader(data)
        return part_of_samples(plain, place) if plain is not None else _of_batches(data, place)
    images: list[Array] = []
    labels: list[Any] = []
    notes: dict[str, None] = {}
    n_bytes = 0
    for sample in _samples(data, place):
        image, label = _pair(sample, place)
        if is_events(image):
            notes[binning(sensor_of(data, place))] = None
            image = event_counts(image, sensor_of(data, place), place)
        images.append(_image(image, place))
        labels.append(label)
        n_bytes += images[-1].nbytes
        require_bytes(place, n_bytes) if len(images) % 1000 == 0 else None
    if not images:
        raise UserError(f"{place}: no samples; give some")
    return Part(_stacked(images, place), as_array(labels, f"{place}: labels"), tuple(notes))


def _of_plain_loader(loader: Any) -> Any:
    """The data set of a loader that only shuffles and batches it, None for any other loader."""
    if type(getattr(loader, "sampler", None)).__name__ not in ONE_BY_ONE or not hasattr(loader.dataset, "__len__"):
        return None
    is_default = getattr(getattr(loader, "collate_fn", None), "__name__", "") == "default_collate"
    is_whole = len(loader.sampler) == len(loader.dataset)
    return loader.dataset if is_default and is_whole else None


def _of_batches(loader: Iterable[Any], place: str) -> Part:
    images: list[Array] = []
    labels: list[Array] = []
    n_bytes = 0
    for batch in loader:
        x, y = _pair(batch, place)
        images.append(as_array(x, f"{place}: images"))
        labels.append(as_array(y, f"{place}: labels"))
        n_bytes += images[-1].nbytes
        require_bytes(place, n_bytes)
    if not images:
        raise UserError(f"{place}: no batches; give some")
    try:
        return Part(np.concatenate(images), np.concatenate(labels))
    except ValueError as error:
        raise UserError(f"{place}: batches hold images of unequal shape; make them equal") from error


def _samples(data: Any, place: str) -> Iterator[Any]:
    """The samples of a data set: by index up to its length, or as it gives them."""
    if hasattr(data, "__len__") and hasattr(data, "__getitem__"):
        return (data[index] for index in range(len(data)))
    if hasattr(data, "__iter__"):
        return iter(data)
    raise UserError(f"{place}: a {type(data).__name__} has no length and cannot be iterated; give arrays")


def _pair(sample: Any, place: str) -> tuple[Any, Any]:
    """Image and label of a sample or a batch."""
    if isinstance(sample, Mapping):
        keys = choose([str(key) for key in sample], place).keys
        return sample[keys["x_train"]], sample[keys["y_train"]]
    if not isinstance(sample, (tuple, list)) or len(sample) != 2:
        raise UserError(f"{place}: a sample is {_named(sample)}; {PAIR}")
    return sample[0], sample[1]


def _named(sample: Any) -> str:
    if isinstance(sample, (tuple, list)):
        return f"a {type(sample).__name__} of {len(sample)}"
    return f"of type {type(sample).__name__}"


def _image(image: Any, place: str) -> Array:
    if is_picture(image) and image.mode not in ("L", "RGB", "I", "F", "I;16"):
        image = image.convert("L" if image.mode in ("1", "LA") else "RGB")
    return as_array(image, f"{place}: image")


def _stacked(images: list[Array], place: str) -> Array:
    odd = next((k for k, image in enumerate(images) if image.shape != images[0].shape), None)
    if odd is not None:
        raise UserError(
            f"{place}: image {odd + 1} has shape {images[odd].shape}, the first {images[0].shape}; make them equal, "
            "e.g. by a transform that resizes"
        )
    return np.stack(images)
