"""Recordings: what neurons answered to images, from a file of the user.

A FILE.npz holds `responses` of shape [images, units] or [images, units, repeats], NaN where nothing was recorded; and,
if it can, `stimuli` (or `images`), the images themselves, and `regions` and `subjects`, a name for each unit. The
teacher of a training and what a finished network is compared with are the same file.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from neuro.base.arrays import Array, Arrays, Images, Int64, Reals
from neuro.base.errors import UserError
from neuro.base.files import parse_arrays, read_bytes, sha256, shown

FORM = "give `responses` of shape [images, units] or [images, units, repeats], and `stimuli`"
LEVELS = 1020  # four to a grey level: images whose pixels all round to the same are the same
WHOLE = "all"  # the region, and the subject, of units that are given none


@dataclass(frozen=True, eq=False)
class Recordings:
    """Responses of shape [n, units, repeats], NaN where missing, to stimuli of shape [n, ...], None if not given.

    regions, subjects: the name of the region, and of the animal or person, of each unit.
    owner: names the file in errors.  sha256: of its bytes.
    """

    responses: Reals
    stimuli: Images | None
    regions: tuple[str, ...]
    subjects: tuple[str, ...]
    owner: str
    sha256: str = ""

    @cached_property
    def means(self) -> Reals:
        """Mean over the repeats that are there, of shape [n, units]; NaN where there are none."""
        there = np.isfinite(self.responses)
        counts = there.sum(axis=2)
        sums = np.where(there, self.responses, 0.0).sum(axis=2)
        return np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)

    @property
    def n_missing(self) -> int:
        """How many pairs of an image and a unit were never recorded."""
        return int(np.isnan(self.means).sum())

    def units_of(self, region: str) -> Recordings:
        """The units of one region."""
        chosen = np.flatnonzero(np.array(self.regions) == region)
        names, subjects = (tuple(each[unit] for unit in chosen) for each in (self.regions, self.subjects))
        return Recordings(self.responses[:, chosen], self.stimuli, names, subjects, self.owner, self.sha256)

    def means_for(self, images: Images, name: str) -> Reals:
        """The mean responses to each of `images` of shape [m, ...], of shape [m, units]; NaN where there are none.

        Found by their pixels; without stimuli the responses are those to the images in their order. name: of the data.
        Raises: UserError if none is found, or if there are no stimuli and the numbers differ.
        """
        if self.stimuli is None:
            if len(self.responses) != len(images):
                raise UserError(
                    f"{self.owner}: {len(self.responses)} responses, {name} has {len(images)} training images; give "
                    "one for each, in their order, or `stimuli`"
                )
            return self.means
        rows = {key: row for row, key in enumerate(_keys(self.stimuli))}
        found = [rows.get(key, -1) for key in _keys(images)]
        taken: Int64 = np.array(found, dtype=np.int64)
        if not (taken >= 0).any():
            raise UserError(
                f"{self.owner}: none of its {len(self.stimuli)} stimuli is a training image of {name}, pixel for "
                "pixel; give the training images"
            )
        return np.where(taken[:, None] >= 0, self.means[taken], np.nan)


def load_recordings(path: str | Path) -> Recordings:
    """The recordings in a file. Raises: UserError naming the array, the limit and the remedy."""
    path = Path(path).expanduser()
    owner, content = f"recordings {shown(path)}", read_bytes(path)
    arrays = parse_arrays(content, path)
    responses = _responses(arrays, owner)
    stimuli = arrays.get("stimuli", arrays.get("images"))
    if stimuli is not None:
        if stimuli.dtype.kind not in "iufb":
            raise UserError(f"{owner}: stimuli of type {stimuli.dtype}; give numbers")
        if stimuli.ndim < 2 or len(stimuli) != len(responses):
            raise UserError(
                f"{owner}: stimuli of shape {stimuli.shape} and responses of shape {responses.shape}; give as many "
                "stimuli as responses"
            )
    regions, subjects = (_names(arrays, key, responses.shape[1], owner) for key in ("regions", "subjects"))
    return Recordings(responses, stimuli, regions, subjects, owner, sha256(content))


def _names(arrays: Arrays, key: str, n_units: int, owner: str) -> tuple[str, ...]:
    names = arrays.get(key, np.full(n_units, WHOLE))
    if names.dtype.kind != "U" or names.shape != (n_units,):
        raise UserError(f"{owner}: {key} of shape {names.shape}; give a name, a text, for each of {n_units} units")
    return tuple(map(str, names))


def _responses(arrays: Arrays, owner: str) -> Reals:
    """The responses of a file, of shape [n, units, repeats]."""
    if "responses" not in arrays:
        raise UserError(f"{owner}: holds {', '.join(sorted(arrays)) or 'nothing'}; {FORM}")
    raw = arrays["responses"]
    if raw.dtype.kind not in "iuf" or raw.ndim not in (2, 3) or 0 in raw.shape:
        raise UserError(f"{owner}: responses of type {raw.dtype} and shape {raw.shape}; {FORM}")
    responses: Reals = raw.astype(np.float64).reshape(len(raw), raw.shape[1], -1)
    if np.isinf(responses).any():
        raise UserError(f"{owner}: {int(np.isinf(responses).sum())} responses are infinite; mark missing ones by NaN")
    silent = np.isnan(responses).all(axis=(0, 2))
    if silent.any():
        raise UserError(f"{owner}: {int(silent.sum())} of {len(silent)} units have no response at all; leave them out")
    return responses


def _keys(images: Array) -> list[bytes]:
    """What tells images of shape [n, ...] apart, whatever the type of their pixels in 0..1 or 0..255."""
    flat = images.reshape(len(images), -1)
    scale = 1.0 if flat.dtype.kind in "fb" else 1.0 / 255.0
    levels = np.rint(flat.astype(np.float64) * (scale * LEVELS)).astype(np.int32)
    return [row.tobytes() for row in levels]
