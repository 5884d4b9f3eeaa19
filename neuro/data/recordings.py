"""Recordings: what neurons answered to images, from a file of the user.

A FILE.npz holds `responses` of shape [images, units] or [images, units, repeats], NaN where nothing was recorded; and,
if it can, `stimuli` (or `images`), the images themselves, and `regions` and `subjects`, a name for each unit. The
teacher of a training and what a finished network is compared with are the same file. In place of responses a file to
compare with may hold `rdm`: dissimilarities of every two images, of shape [images, images] or [sets, images, images],
one set for each name of regions and subjects.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
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
    geometries: of a file of dissimilarities, of shape [sets, pairs], upper triangles row by row; then responses are [n,
    0, 1], and names are of sets.  owner: names the file in errors.  sha256: of its bytes.
    """

    responses: Reals
    stimuli: Images | None
    regions: tuple[str, ...]
    subjects: tuple[str, ...]
    owner: str
    sha256: str = ""
    geometries: Reals | None = None

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
        if self.geometries is not None:
            return replace(self, geometries=self.geometries[chosen], regions=names, subjects=subjects)
        return replace(self, responses=self.responses[:, chosen], regions=names, subjects=subjects)

    def means_for(self, images: Images, name: str) -> Reals:
        """The mean responses to each of `images` of shape [m, ...], of shape [m, units]; NaN where there are none.

        Found by their pixels; without stimuli the responses are those to the images in their order. name: of the data.
        Raises: UserError if none is found, or if there are no stimuli and the numbers differ.
        """
        if self.geometries is not None:
            raise UserError(f"{self.owner}: holds dissimilarities; a training is guided by `responses`")
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
    geometries = None if "responses" in arrays or "rdm" not in arrays else _geometries(arrays["rdm"], owner)
    n_images = 0 if geometries is None else arrays["rdm"].shape[-1]
    responses = _responses(arrays, owner) if geometries is None else np.zeros((n_images, 0, 1))
    n_names = responses.shape[1] if geometries is None else len(geometries)
    stimuli = arrays.get("stimuli", arrays.get("images"))
    if stimuli is not None:
        if stimuli.dtype.kind not in "iufb":
            raise UserError(f"{owner}: stimuli of type {stimuli.dtype}; give numbers")
        if stimuli.ndim < 2 or len(stimuli) != len(responses):
            raise UserError(
                f"{owner}: stimuli of shape {stimuli.shape} and responses of shape {responses.shape}; give as many "
                "stimuli as responses"
            )
    regions, subjects = (_names(arrays, key, n_names, owner) for key in ("regions", "subjects"))
    return Recordings(responses, stimuli, regions, subjects, owner, sha256(content), geometries)


def _names(arrays: Arrays, key: str, n_units: int, owner: str) -> tuple[str, ...]:
    names = arrays.get(key, np.full(n_units, WHOLE))
    if names.dtype.kind != "U" or names.shape != (n_units,):
        raise UserError(f"{owner}: {key} of shape {names.shape}; give a name, a text, for each of {n_units} units")
    return tuple(map(str, names))


def _geometries(raw: Array, owner: str) -> Reals:
    """The upper triangles of [images, images] or [sets, images, images]."""
    if raw.dtype.kind not in "iuf" or raw.ndim not in (2, 3) or raw.shape[-1] != raw.shape[-2] or raw.shape[-1] < 2:
        raise UserError(f"{owner}: rdm of type {raw.dtype} and shape {raw.shape}; give [images, images] of each set")
    sets: Reals = raw.astype(np.float64).reshape(-1, *raw.shape[-2:])
    if not np.allclose(sets, sets.swapaxes(1, 2), equal_nan=True):
        raise UserError(f"{owner}: rdm is not symmetric; give the dissimilarity of every two images, twice")
    rows, columns = np.triu_indices(raw.shape[-1], 1)
    return sets[:, rows, columns]


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
