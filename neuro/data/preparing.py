"""Prepare a source: learn what is done to it from its training part, do it to all of it, and say so in a line each."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from neuro.base.arrays import AnyArray, Array, Images, Labels
from neuro.base.errors import UserError
from neuro.data.channels import FIRST, channels_last, order_of
from neuro.data.labels import Classes, form_of, label_values
from neuro.data.options import DataOptions
from neuro.data.preparation import TEST_SHARE, Preparation, drawn
from neuro.data.raw import RawData
from neuro.data.rescaling import learned, numbers

MIN_TRAINING_IMAGES = 10
SPLIT_UNSAID = "digits"  # has no test part of its own, as everybody knows


@dataclass(frozen=True, eq=False)
class Parts:
    """Images and labels as a `Dataset` holds them, how they came to be so, and what a user should know of that."""

    x_train: Images
    y_train: Labels
    x_test: Images
    y_test: Labels
    preparation: Preparation
    notes: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class _Raw:
    """A source with a test part: images as they came, labels as numbers; `of` names it in messages."""

    of: str
    x_train: AnyArray
    y_train: Labels
    x_test: AnyArray
    y_test: Labels


def prepared(
    raw: RawData, options: DataOptions, seed: int, like: Preparation | None, shape: tuple[int, ...] | None
) -> Parts:
    """The parts of a source; see `neuro.data.sets.prepare`."""
    of = f"data {raw.name}: "
    x_train, y_train = _numbers(raw.x_train, f"{of}x_train"), np.asarray(raw.y_train)
    values = label_values(y_train, len(x_train), f"{of}y_train")
    classes = Classes.of(values, f"{of}y_train") if like is None else like.classes
    y_numbers, share = classes.numbers(values, f"{of}y_train"), TEST_SHARE
    if like is not None and like.test_share:
        share = like.test_share
    divided, share = _divided(raw, x_train, y_numbers, classes, seed, share)
    notes = list(raw.notes)
    learns = like is None
    if share and raw.source != SPLIT_UNSAID and (like is None or not like.test_share):
        notes.append(f"no test part; {share:.0%} of every class drawn by seed {seed}: {len(divided.y_test):,} images")
    if like is None:
        notes.insert(len(raw.notes), form_of(y_train, values, classes))
        like = _learned(divided, options, Preparation(classes=classes, test_share=share), notes)
        if raw.source == SPLIT_UNSAID:
            like = replace(like, test_share=0.0)
    parts = _applied(divided, like, shape, options.rescale == "none", notes)
    _check(parts, of)
    warnings = _warnings(parts) if learns else []  # a run has heard them, and may never have seen this training part
    return replace(parts, notes=tuple(filter(None, [*notes, *warnings])))


def _numbers(images: Array, where: str) -> AnyArray:
    return numbers(np.asarray(images), where)


def _divided(
    raw: RawData, x_train: AnyArray, y_train: Labels, classes: Classes, seed: int, share: float
) -> tuple[_Raw, float]:
    """The source with its own test part, or with one drawn by the seed, and the share that was drawn."""
    of = f"data {raw.name}: "
    if raw.x_test is None or raw.y_test is None:
        train, test = drawn(y_train, seed, share)
        return _Raw(of, x_train[train], y_train[train], x_train[test], y_train[test]), share
    x_test = _numbers(raw.x_test, f"{of}x_test")
    values = label_values(np.asarray(raw.y_test), len(x_test), f"{of}y_test")
    return _Raw(of, x_train, y_train, x_test, classes.numbers(values, f"{of}y_test")), 0.0


def _learned(raw: _Raw, options: DataOptions, so_far: Preparation, notes: list[str]) -> Preparation:
    """What is learned of the training part: order of channels and rescaling; says both."""
    before = raw.x_train
    order = order_of(before.shape[1:], options.channels, f"{raw.of}x_train")
    images = channels_last(before, order)
    if order == FIRST:
        notes.append(f"images {_shape(before)} have their channels first; taken as {_shape(images)}")
    rescaling = learned(images, options.rescale)
    if rescaling is not None:
        span = f"{before.dtype} {before.min():g}..{before.max():g}"
        if rescaling.by_feature:
            span += f", {images.shape[1]} features, each"
        notes.append(f"{span} rescaled to 0..1 ({rescaling.rule})")
        silent = int((np.atleast_1d(rescaling.range.width) == 0).sum())
        if rescaling.by_feature and silent:
            notes.append(f"{silent} of {images.shape[1]} features are constant in the training part and tell nothing")
    elif before.dtype.kind == "b" or (before.dtype.kind in "iu" and before.dtype != np.uint8):
        notes.append(f"{before.dtype} {int(before.min())}..{int(before.max())} taken as 0 and 1")
        so_far = replace(so_far, binary=True)
    return replace(so_far, channels=order, rescaling=rescaling)


def _applied(raw: _Raw, like: Preparation, shape: tuple[int, ...] | None, strict: bool, notes: list[str]) -> Parts:
    x_train, _ = like.images(raw.x_train, shape, f"{raw.of}x_train", strict)
    if raw.x_train.shape[1:] != raw.x_test.shape[1:] and shape is None:
        raise UserError(
            f"{raw.of}x_train images have shape {raw.x_train.shape[1:]}, x_test images {raw.x_test.shape[1:]}; "
            "make them equal"
        )
    x_test, clipped = like.images(raw.x_test, shape, f"{raw.of}x_test", strict)
    if clipped:
        notes.append(f"{clipped:,} of {x_test.size:,} test values lie outside the training range; clipped")
    return Parts(x_train, raw.y_train, x_test, raw.y_test, like, ())


def _check(parts: Parts, of: str) -> None:
    """Raise UserError if a network cannot learn from these parts."""
    if len(parts.x_train) < MIN_TRAINING_IMAGES:
        raise UserError(f"{of}{len(parts.x_train)} training images; at least {MIN_TRAINING_IMAGES} needed")
    n_classes = int(parts.y_train.max()) + 1
    if n_classes < 2:
        raise UserError(f"{of}y_train holds one class only; a classifier needs at least two")
    if int(parts.y_test.max()) >= n_classes:
        raise UserError(
            f"{of}y_test holds label {int(parts.y_test.max())}, y_train only 0..{n_classes - 1}; "
            "use the same classes in both"
        )


def _warnings(parts: Parts) -> list[str]:
    """What a user should know of the data themselves."""
    if (parts.x_train == parts.x_train[:1]).all():
        return ["all training images are equal: nothing can be learned from them"]
    known = {hash(image.tobytes()) for image in parts.x_train}
    twice = sum(hash(image.tobytes()) in known for image in parts.x_test)
    if not twice:
        return []
    return [f"{twice:,} of {len(parts.x_test):,} test images are training images too: accuracy on them proves little"]


def _shape(images: AnyArray) -> str:
    return f"[n, {', '.join(map(str, images.shape[1:]))}]"
