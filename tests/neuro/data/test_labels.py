"""Labels of any form become 0..n-1; what they were called is kept."""

import numpy as np
import pytest

from neuro.data.labels import NUMBERED, Classes, form_of, label_values

NUMBERS = np.arange(12) % 3
NAMED = {
    "from one": (NUMBERS + 1, [1, 2, 3], "labels 1, 2, 3 mapped to 0..2"),
    "with holes": (NUMBERS * 2000, [0, 2000, 4000], "labels 0, 2000, 4000 mapped to 0..2"),
    "negative": (NUMBERS - 1, [-1, 0, 1], "labels -1, 0, 1 mapped to 0..2"),
    "text": (np.array(["cat", "dog", "eel"])[NUMBERS], ["cat", "dog", "eel"], "labels text 'cat', 'dog', 'eel' mapped"),
    "bytes": (np.array([b"cat", b"dog", b"eel"])[NUMBERS], ["cat", "dog", "eel"], "labels text 'cat'"),
    "numbers as text": (np.array(["2", "9", "10"])[NUMBERS], ["2", "9", "10"], "labels text '2', '9', '10'"),
    "objects": (np.array(["cat", "dog", "eel"], dtype=object)[NUMBERS], ["cat", "dog", "eel"], "labels text"),
    "booleans": (NUMBERS > 0, [False, True], "labels booleans False, True mapped to 0..1"),
    "whole floats from one": (NUMBERS + 1.0, [1, 2, 3], "labels 1, 2, 3 mapped"),
    "a column from one": (NUMBERS[:, None] + 1, [1, 2, 3], "labels 1, 2, 3 mapped"),
}
PLAIN = {
    "integers": (NUMBERS, ""),
    "small integers": (NUMBERS.astype(np.uint8), ""),
    "floats": (NUMBERS * 1.0, "labels float64 taken as 0..2"),
    "one-hot": (np.eye(3)[NUMBERS], "labels one-hot taken as 0..2"),
    "one-hot booleans": (np.eye(3, dtype=bool)[NUMBERS], "labels one-hot taken as 0..2"),
    "a column": (NUMBERS[:, None], "labels [n, 1] taken as 0..2"),
}


@pytest.mark.parametrize("case", NAMED)
def test_labels_are_mapped_said_and_named(case):
    labels, names, words = NAMED[case]
    values = label_values(labels, 12, "y")
    classes = Classes.of(values, "y")
    assert list(classes.names) == names
    numbers = classes.numbers(values, "y")
    assert numbers.dtype == np.int32
    assert numbers.tolist() == (NUMBERS > 0 if case == "booleans" else NUMBERS).astype(int).tolist()
    assert classes.named(numbers).tolist() == values.tolist()
    assert form_of(labels, values, classes).startswith(words)


@pytest.mark.parametrize("case", PLAIN)
def test_labels_from_zero_stay_and_have_no_names(case):
    labels, words = PLAIN[case]
    values = label_values(labels, 12, "y")
    classes = Classes.of(values, "y")
    assert classes == NUMBERED
    assert classes.numbers(values, "y").tolist() == NUMBERS.tolist()
    assert classes.named(NUMBERS) is NUMBERS
    assert form_of(labels, values, classes) == words


def test_later_labels_may_lack_classes_but_not_have_others(refused):
    classes = Classes(("cat", "dog", "eel"))
    assert classes.numbers(np.array(["eel", "cat"]), "y").tolist() == [2, 0]
    with refused("y holds label 'cow'", "'cat', 'dog', 'eel'"):
        classes.numbers(np.array(["cow"]), "y")
    with refused("y is <U1", "integers from 0"):
        NUMBERED.numbers(np.array(["0"]), "y")


def test_long_lists_of_names_are_cut_and_too_many_refused(refused):
    assert Classes(tuple("abcdef")).listed() == "'a', 'b', 'c', 'd', .. (6)"
    with refused("y holds 4097 different labels", "at most 4096"):
        Classes.of(np.arange(4097) * 2, "y")


def test_objects_of_several_kinds_are_refused(refused):
    with refused("y holds int, str", "all text, or all numbers"):
        label_values(np.array([1, "a"], dtype=object), 2, "y")
