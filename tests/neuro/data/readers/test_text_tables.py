from __future__ import annotations

import gzip

import numpy as np
import pytest

from neuro.data.sources import read_raw

FLOWERS = [f"{5 + k % 3 / 10:.1f},3.5,{k / 10:.1f},Iris-{'ab'[k % 2]}" for k in range(12)]
GENERATOR = np.random.default_rng(0)
PIXELS = GENERATOR.integers(0, 256, (40, 64))
PIXELS[:, [0, -1]] = 0  # corners of pictures are black
DIGITS = np.arange(40) % 10


def write(folder, lines, name="mine.csv"):
    (folder / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
    return str(folder / name)


TABLES = {
    "no header": (FLOWERS, "labels from column 4"),
    "header": (["a,b,c,species", *FLOWERS], "labels from column species"),
    "header behind a mark": (["# a,b,c,species", *FLOWERS], "labels from column species"),
    "remark": (["# made by hand", *FLOWERS], "labels from column 4"),
    "header of no known name": (["a,b,c,d", *FLOWERS], "labels from column d"),
    "semicolon and decimal commas": (
        ["a;b;c;kind", *(line.replace(",", ";").replace(".", ",") for line in FLOWERS)], "decimal commas",
    ),
    "quotes": (['"a","b","c","species"', *(f'"{line}"'.replace(",", '","') for line in FLOWERS)], "species"),
    "numbered rows": (["Id,a,b,c,species", *(f"{k + 1},{line}" for k, line in enumerate(FLOWERS))], "numbers the rows"),
    "index of pandas": ([",a,b,c,species", *(f"{k},{line}" for k, line in enumerate(FLOWERS))], "numbers the rows"),
    "every line ends in a comma": (["a,b,c,species,", *(f"{line}," for line in FLOWERS)], "species"),
    "empty lines": (["", "a,b,c,species", "", *FLOWERS, ""], "species"),
    "label first": (["label,a,b,c", *(",".join(line.split(",")[k] for k in (3, 0, 1, 2)) for line in FLOWERS)], ""),
}  # fmt: skip


@pytest.mark.parametrize("case", TABLES)
def test_tables_are_read_whatever_their_form(case, tmp_path):
    lines, note = TABLES[case]
    raw = read_raw(write(tmp_path, lines))
    expected = np.array([[float(cell) for cell in line.split(",")[:3]] for line in FLOWERS])
    np.testing.assert_array_equal(raw.x_train, expected)
    assert raw.y_train.tolist() == [line.split(",")[3] for line in FLOWERS]
    assert raw.x_test is None
    assert note in "; ".join(raw.notes)


@pytest.mark.parametrize("is_first", [True, False])
@pytest.mark.parametrize("header", [None, "pixel{}", "p{}", "{}"])
def test_pixels_of_0_to_255_are_pictures_and_a_corner_is_no_label(is_first, header, tmp_path):
    columns = [DIGITS[:, None], PIXELS] if is_first else [PIXELS, DIGITS[:, None]]
    rows = [",".join(map(str, row)) for row in np.concatenate(columns, axis=1)]
    names = [header.format(k) for k in range(64)] if header else []
    first = [",".join(["label", *names] if is_first else [*names, "label"])] if header else []
    raw = read_raw(write(tmp_path, first + rows))
    np.testing.assert_array_equal(raw.x_train, PIXELS.reshape(40, 8, 8))
    np.testing.assert_array_equal(raw.y_train, DIGITS)
    assert raw.y_train.dtype == np.int64


def test_a_test_file_without_labels_is_refused_by_name(tmp_path, refused):
    write(tmp_path, ["a,label", "1,0", "2,1", "3,0", "4,1"], "train.csv")
    write(tmp_path, ["a,b", "1,0", "2,1"], "test.csv")
    with refused("test.csv", "no column label", "a, b"):
        read_raw(str(tmp_path / "train.csv"))


BAD = {
    "missing number": (["a,b,label", "1,2,0", "1,,1", "2,3,1"], ("line 3", "column b", "no value")),
    "missing mark": (["a,b,label", "1,2,0", "1,?,1", "2,3,1"], ("line 3", "column b", "no value")),
    "NaN": (["a,b,label", "1,2,0", "nan,1,1", "2,3,1"], ("line 3", "column a", "no value")),
    "missing label": (["a,b,label", "1,2,x", "1,1,", "2,3,y"], ("line 3", "column label", "no value")),
    "short line": (["a,b,label", "1,2,0", "1,2", "2,3,1"], ("line 3", "2 columns", "3")),
    "text": (["a,b,label", "1,2,0", "1,red,1", "2,3,1"], ("line 3", "column b", "'red'", "text")),
    "fractions as labels": (
        ["a,b,c", "1.5,2,.1", "1.2,2,.2", "2.1,3.3,.3"],
        ("looks like classes", "a, b, c"),
    ),
    "one line": (["a,b,label"], ("fewer than two rows",)),
    "late text": (["a,label", *["1,0", "2,1"] * 600, "red,1"], ("line 1202", "column a", "'red'")),
}


@pytest.mark.parametrize("case", BAD)
def test_a_fault_is_told_with_its_line_and_column(case, tmp_path, refused):
    lines, words = BAD[case]
    with refused("mine.csv", *words):
        read_raw(write(tmp_path, lines))


@pytest.mark.parametrize("content", [b"", b"\n\n", b"\0\1\2", b"a", b"\xff\xfe,\x00"])
def test_what_is_no_table_is_refused(content, tmp_path, refused):
    (tmp_path / "mine.csv").write_bytes(content)
    with refused("mine.csv"):
        read_raw(str(tmp_path / "mine.csv"))


def test_all_members_of_a_packed_table_are_read(tmp_path):
    lines = [f"{k % 2},{k},{k + 1}\n".encode() for k in range(40)]
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(b"".join(lines[:20])) + gzip.compress(b"".join(lines[20:])))
    assert len(read_raw(str(tmp_path / "a.csv.gz")).x_train) == 40


def test_a_packed_table_that_grows_beyond_the_limit_is_not_unpacked(tmp_path, refused, monkeypatch):
    (tmp_path / "mine.csv.gz").write_bytes(gzip.compress(b"1,0\n" * 10**6))
    monkeypatch.setenv("SETTLE_MAX_BYTES", "2000000")
    with refused("mine.csv.gz", "limit"):
        read_raw(str(tmp_path / "mine.csv.gz"))
