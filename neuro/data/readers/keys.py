"""Names under which people keep images and labels: x_train, trainImages, test/labels, X and y, data and target."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from neuro.base.errors import UserError

SPLITS = {
    "train": ("train", "training", "trn", "tr"),
    "test": ("test", "testing", "tst", "te", "t10k"),
    "val": ("val", "valid", "validation", "dev"),
}
IMAGES = ("x", "xs", "images", "image", "imgs", "img", "pictures", "pixels", "pixel", "inputs", "input", "features",
          "feature", "samples", "data")  # fmt: skip
LABELS = ("y", "ys", "labels", "label", "lbl", "targets", "target", "classes", "class", "categories", "category",
          "species")  # fmt: skip
EMPTY = ("set", "dataset", "array", "arr", "all", "fine", "values", "ds", "raw")  # say nothing of what a name means
SPLIT_OF = {word: split for split, words in SPLITS.items() for word in words}
EXPECTED = "call them x_train, y_train (and x_test, y_test)"


@dataclass(frozen=True)
class Meaning:
    """What a name says. role: "x" or "y"; split: "train", "test", "val" or ""; rest: words that say something else."""

    role: str
    split: str
    rest: tuple[str, ...]
    rank: int


@dataclass(frozen=True)
class Choice:
    """Which names hold what: the keys x_train, y_train and, if there is a test part, x_test, y_test; with notes."""

    keys: dict[str, str]
    notes: tuple[str, ...]


def words_of(name: str) -> list[str]:
    """The words of a name in small letters: trainImages -> train, images; X_Train -> x, train; test/y -> test, y."""
    parts = re.split(r"[^A-Za-z0-9]+", re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z0-9])(?=[A-Z][a-z])", " ", name))
    return [part for word in parts if word for part in _unglued(word.lower())]


def _unglued(word: str) -> list[str]:
    """Xtrain -> x, train; testlabels -> test, labels; any other word as it is."""
    for split in SPLIT_OF:
        for role in (word.removeprefix(split), word.removesuffix(split)):
            if role != word and role in IMAGES + LABELS:
                return [split, role]
    return [word]


def meaning_of(name: str) -> Meaning | None:
    """What a name means, or None if it names neither images nor labels, or two parts at once."""
    words = words_of(name)
    splits = {SPLIT_OF[word] for word in words if word in SPLIT_OF}
    labels = [word for word in words if word in LABELS]
    images = [word for word in words if word in IMAGES]
    known = labels or images
    if len(splits) > 1 or not known:
        return None
    said = {*SPLIT_OF, *EMPTY, *known, *images, "data"}
    rest = tuple(word for word in words if word not in said)
    rank = (LABELS if labels else IMAGES).index(known[0])
    return Meaning("y" if labels else "x", next(iter(splits), ""), rest, rank)


def choose(names: Iterable[str], place: str, prefer: tuple[str, ...] = ()) -> Choice:
    """Which of the names hold training and test images and labels.

    Args:   place: what holds the names, for errors. prefer: other words that the right names have, e.g. of a set.
    Raises: UserError if images or labels for training are not found, or two names are equally good.
    """
    names = list(names)
    candidates: dict[tuple[str, str], list[tuple[tuple[bool, int, int], str]]] = {}
    for name in names:
        meaning = meaning_of(name)
        if meaning is not None:
            order = (meaning.rest != prefer, len(meaning.rest), meaning.rank)
            candidates.setdefault((meaning.role, meaning.split), []).append((order, name))
    train = "train" if ("x", "train") in candidates else ""
    for role, what in (("x", "images"), ("y", "labels")):
        if (role, train) not in candidates:
            raise UserError(f"{place}: lacks {role}_train, the {what}; it holds {listed(names)}; {EXPECTED}")
    test, notes = test_split({split for _, split in candidates}, {s for r, s in candidates if r == "y"})
    roles = {f"{role}_train": (role, train) for role in "xy"}
    if test:
        roles |= {f"{role}_test": (role, test) for role in "xy" if (role, test) in candidates}
    if test and "x_test" not in roles:
        raise UserError(f"{place}: lacks x_test, the images to {candidates['y', test][0][1]}; {EXPECTED}")
    return Choice({key: _best(candidates[role], place) for key, role in roles.items()}, notes)


def test_split(splits: set[str], labelled: set[str]) -> tuple[str, tuple[str, ...]]:
    """Which part is the test part, "" for none, and what to tell about it.

    splits: the parts that there are, of "train", "test", "val"; labelled: those that have labels.
    """
    notes: tuple[str, ...] = ()
    if "test" in splits - labelled:
        notes = ("the test part has no labels and is not used",)
    if "test" in splits & labelled:
        if "val" in splits:
            notes = ("the validation part is not used: training divides off its own",)
        return "test", notes
    if "val" in splits & labelled:
        return "val", (*notes, "the validation part is taken as the test part")
    return "", notes


def _best(candidates: list[tuple[tuple[bool, int, int], str]], place: str) -> str:
    ordered = sorted(candidates)
    if len(ordered) > 1 and ordered[0][0] == ordered[1][0]:
        raise UserError(f"{place}: both {ordered[0][1]} and {ordered[1][1]} could be meant; keep one of them")
    return ordered[0][1]


def listed(names: Iterable[str], most: int = 8) -> str:
    """Some names in one line."""
    names = list(names)
    if not names:
        return "nothing"
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
