"""Event data by name, through tonic: tonic:NMNIST."""

from __future__ import annotations

from neuro.data.raw import RawData
from neuro.data.readers.catalogues import parts_of
from neuro.data.readers.extras import require_extra
from neuro.data.readers.named_sets import cache_folder
from neuro.data.readers.parts import joined
from neuro.data.readers.samples import part_of_samples


def read_tonic(source: str) -> RawData:
    """The data set that `tonic:NAME` means, its events counted per pixel and polarity (`neuro.data.readers.events`).

    Raises: UserError if tonic is missing, there is none of this name, or no network.
    """
    require_extra("tonic", "events", source)
    from tonic import datasets

    classes = {
        name: made for name, made in vars(datasets).items() if isinstance(made, type) and not name.startswith("_")
    }
    name, parts = parts_of(source, classes, "save_to", cache_folder() / "tonic")
    place = f"tonic:{name}"
    return joined(name.replace("/", "-").lower(), place, [part_of_samples(part, place) for part in parts])
