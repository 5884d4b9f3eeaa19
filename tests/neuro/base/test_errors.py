from __future__ import annotations

import pickle

import numpy as np
import pytest

from neuro.base.errors import UserError, first_line
from neuro.data.sources import read_raw


def test_a_message_is_one_line_of_letters_whatever_a_file_calls_its_parts():
    assert str(UserError("column a\nb\x1b[2J\0: ünlesbar – 8 × 8")) == "column a?b?[2J?: ünlesbar – 8 × 8"
    assert str(pickle.loads(pickle.dumps(UserError("a: b")))) == "a: b"


def test_names_within_a_file_cannot_break_the_line(tmp_path, refused):
    np.savez(tmp_path / "mine.npz", **{"a\nTraceback": np.zeros(3)})
    with refused("it holds a?Traceback"):
        read_raw(str(tmp_path / "mine.npz"))


@pytest.mark.parametrize(
    ("error", "line"),
    [(OSError("no route\nto host"), "no route"), (ValueError("\n\n  late\n"), "late"), (KeyError(), "KeyError")],
)
def test_of_other_errors_the_first_line_is_told(error, line):
    assert first_line(error) == line
