"""What a user may choose of how data are prepared. Light: the command line reads it at its start."""

from __future__ import annotations

from dataclasses import dataclass

from neuro.base.options import check_options, option

RESCALINGS = {
    "auto": "from type and range",
    "minmax": "the range of the training images",
    "standard": "their mean -+ 3 deviations",
    "none": "as they are",
}
CHANNELS = {"auto": "from the shape", "first": "before the rows", "last": "after the columns"}


@dataclass(frozen=True, kw_only=True)
class DataOptions:
    """What the user asks for. The options stand at the fields; see `neuro.data.preparation`."""

    rescale: str = option("auto", "What becomes 0..1", choices=RESCALINGS)
    channels: str = option("auto", "Where colours are", choices=CHANNELS)

    def __post_init__(self) -> None:
        check_options(self)


DEFAULTS = DataOptions()
