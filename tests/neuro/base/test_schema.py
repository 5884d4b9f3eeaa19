import subprocess
import sys
from dataclasses import dataclass
from typing import TypedDict

import pytest

from neuro.base.errors import UserError
from neuro.base.schema import Amount, Count, Filled, Seed, Share, parsed, require_form


@dataclass(frozen=True)
class Point:
    place: Count
    value: float | None = None

    def __post_init__(self):
        if self.place == 13:
            raise UserError("point: place 13 is taken")


class Row(TypedDict, total=False):
    seed: Seed
    share: Share
    seconds: Amount
    point: Point
    points: Filled[Point]
    names: dict[str, list[int]]
    pair: tuple[float, float]
    exact: bool


CASES = [
    ({"seed": "x"}, "seed is text, needs an integer"),
    ({"seed": True}, "seed is true or false, needs an integer"),
    ({"seed": -1}, "seed needs an integer >= 0"),
    ({"seed": 2**63}, "seed needs an integer <= 9223372036854775807"),
    ({"seed": 1.5}, "seed is a fractional number, needs an integer"),
    ({"share": 1.5}, "share needs a number <= 1"),
    ({"seconds": None}, "seconds is nothing, needs a number"),
    ({"point": {}}, "point.place is missing"),
    ({"point": 3}, "point is a whole number, needs an object"),
    ({"point": {"place": 1, "value": "u"}}, "point.value is text, needs a number or nothing"),
    ({"point": {"place": 13}}, "point: point: place 13 is taken"),
    ({"points": []}, "points needs a list of length >= 1"),
    ({"points": [{"place": 1}, {"place": None}]}, "points[1].place is nothing, needs an integer"),
    ({"names": {"a": [1, "y"]}}, "names[][1] is text, needs an integer"),
    ({"pair": [1.0]}, "pair needs a list of length 2"),
    ({"exact": 1}, "exact is a whole number, needs true or false"),
    ([1], "the content is a list, needs an object"),
    (None, "the content is nothing, needs an object"),
]


@pytest.mark.parametrize(("content", "words"), CASES, ids=[words for _, words in CASES])
def test_what_does_not_fit_is_named_by_its_field(content, words, refused):
    with refused(f"file.json: {words}", "; make it again"):
        parsed(content, Row, "file.json", "make it again")
    with refused(words):
        require_form(content, Row, "file.json", "make it again")


def test_what_fits_comes_in_the_types_of_its_form():
    row = parsed({"seed": 3, "points": [{"place": 2, "value": 1}], "more": "?"}, Row, "file.json", "")
    assert row == {"seed": 3, "points": [Point(2, 1.0)]}


def test_content_without_end_is_refused(refused):
    content: list[object] = []
    for _ in range(100_000):
        content = [content]
    with refused("file.json"):
        parsed(content, list[list[list[int]]], "file.json", "make it again")


def test_neither_the_face_nor_the_command_line_start_with_it():
    code = "import settle, sys; settle.command_line(); print('msgspec' in sys.modules, 'pydantic' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]
