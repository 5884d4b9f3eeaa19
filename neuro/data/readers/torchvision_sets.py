"""Any data set of torchvision by name: torchvision:KMNIST, torchvision:EMNIST/letters."""

from __future__ import annotations

from typing import Any

from neuro.base.errors import UserError
from neuro.data.raw import RawData
from neuro.data.readers.arrays import as_array
from neuro.data.readers.catalogues import parts_of
from neuro.data.readers.named_sets import cache_folder
from neuro.data.readers.parts import Part, joined
from neuro.data.readers.samples import part_of_samples


def read_torchvision(source: str) -> RawData:
    """The data set that `torchvision:NAME` means, downloaded once into the cache folder, as torchvision holds it.

    Raises: UserError if there is none of this name, no network, or it is not one of images with one label each.
    """
    try:
        from torchvision import datasets
    except ImportError as error:
        raise UserError(f"{source}: needs torchvision: pip install torchvision") from error
    classes = {
        name: getattr(datasets, name) for name in datasets.__all__ if isinstance(getattr(datasets, name, None), type)
    }
    name, parts = parts_of(source, classes, "root", cache_folder() / "torchvision")
    place = f"torchvision:{name}"
    return joined(name.replace("/", "-").lower(), place, [_part(part, place) for part in parts])


def _part(part: Any, place: str) -> Part:
    """The arrays that a data set holds, or else its pictures one by one."""
    images = getattr(part, "data", None)
    labels = getattr(part, "targets", getattr(part, "labels", None))
    if images is None or labels is None or isinstance(images, (list, tuple)):
        return part_of_samples(part, place)
    return Part(as_array(images, f"{place}: images"), as_array(labels, f"{place}: labels"))
