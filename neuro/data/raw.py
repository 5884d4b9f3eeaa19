"""Images and labels as a source holds them, before anything is converted; the form that every reader gives."""

from __future__ import annotations

from dataclasses import dataclass

from neuro.base.arrays import Array


@dataclass(frozen=True, eq=False)
class RawData:
    """What a reader found. Nothing is scaled, reordered or renumbered yet: `neuro.data.preparation` does that, once.

    name:    short, for screens and manifests.
    x_train: of shape [n, ...], any numeric or boolean type, in the units and the channel order of the source.
    y_train: of shape [n], [n, 1] or [n, classes] (one-hot); integers, floats, booleans or text.
    x_test, y_test: likewise; None where the source has no test part: the seed draws one then.
    source:  what the same data are found by again (a name, an absolute path); empty for arrays in memory.
    notes:   what the reader did that a user should know, one line each, e.g. how events were binned.
    """

    name: str
    x_train: Array
    y_train: Array
    x_test: Array | None = None
    y_test: Array | None = None
    source: str = ""
    notes: tuple[str, ...] = ()
