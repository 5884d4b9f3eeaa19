import builtins
import errno
import io
import json
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from neuro.base import files
from neuro.base.errors import UserError
from neuro.base.files import (
    array_bytes,
    json_bytes,
    parse_arrays,
    parse_json,
    read_bytes,
    sha256,
    write_atomically,
)

law = settings(max_examples=40, deadline=None)
plain_arrays = hnp.arrays(
    st.sampled_from([np.int8, np.uint8, np.int16, np.int64, np.float32, np.bool_]), hnp.array_shapes(min_side=0)
)
names = st.text("abcxyz_.->0123", min_size=1, max_size=8).map(lambda text: "weights." + text)


class HalfFile:
    """A file on a disk that fills up in the middle of a write."""

    def __init__(self, file):
        self.file = file

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.file.close()

    def write(self, content):
        self.file.write(content[: len(content) // 2])
        self.file.flush()
        raise OSError(errno.ENOSPC, "No space left on device")


def fails_with(number):
    def fail(*_args, **_kwargs):
        raise OSError(number, os.strerror(number))

    return fail


def break_write(monkeypatch):
    monkeypatch.setattr(files, "open", lambda *args: HalfFile(builtins.open(*args)), raising=False)


FAULTS = {
    "write": break_write,
    "open": lambda patch: patch.setattr(files, "open", fails_with(errno.ENOSPC), raising=False),
    "fsync": lambda patch: patch.setattr(files.os, "fsync", fails_with(errno.ENOSPC)),
    "replace": lambda patch: patch.setattr(files.os, "replace", fails_with(errno.ENOSPC)),
}


def test_writing_creates_folders_and_replaces_the_old_content(tmp_path):
    path = tmp_path / "a" / "b" / "file.bin"
    for content in (b"first", b"", b"third"):
        write_atomically(path, content)
        assert path.read_bytes() == content
    assert [p.name for p in path.parent.iterdir()] == ["file.bin"]


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("existing", [True, False])
def test_a_full_disk_leaves_the_old_file_and_nothing_else(fault, existing, tmp_path, monkeypatch, refused):
    path = tmp_path / "file.bin"
    if existing:
        path.write_bytes(b"old")
    FAULTS[fault](monkeypatch)
    with refused(str(path), "disk is full", "free some space"):
        write_atomically(path, b"new content")
    monkeypatch.undo()
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == ({"file.bin": b"old"} if existing else {})


def test_another_failure_names_its_reason(tmp_path, monkeypatch, refused):
    monkeypatch.setattr(files.os, "replace", fails_with(errno.EACCES))
    with refused("file.bin", os.strerror(errno.EACCES)):
        write_atomically(tmp_path / "file.bin", b"new")
    assert not list(tmp_path.iterdir())


def test_an_interruption_passes_through_and_leaves_the_old_file(tmp_path, monkeypatch):
    def interrupt(_):
        raise KeyboardInterrupt

    (tmp_path / "file.bin").write_bytes(b"old")
    monkeypatch.setattr(files.os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_atomically(tmp_path / "file.bin", b"new")
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == {"file.bin": b"old"}


def test_content_reaches_the_disk_before_the_rename(tmp_path, monkeypatch):
    calls = []
    fsync, replace = os.fsync, os.replace
    monkeypatch.setattr(files.os, "fsync", lambda number: (calls.append("fsync"), fsync(number)))
    monkeypatch.setattr(files.os, "replace", lambda *paths: (calls.append("replace"), replace(*paths)))
    write_atomically(tmp_path / "file.bin", b"new")
    assert calls == ["fsync", "replace"]


@law
@given(st.dictionaries(names, plain_arrays, max_size=4))
def test_arrays_survive_the_round_trip(arrays):
    content = array_bytes(arrays)
    again = parse_arrays(content, Path("file.npz"))
    assert list(again) == list(arrays)
    for name, array in arrays.items():
        assert again[name].dtype == array.dtype
        np.testing.assert_array_equal(again[name], array)
    assert array_bytes(again) == content


def test_every_truncation_of_an_archive_is_refused(refused):
    content = array_bytes({"x": np.arange(50), "y": np.ones((3, 4))})
    for length in range(len(content)):
        with refused("file.npz", "save plain arrays"):
            parse_arrays(content[:length], Path("file.npz"))


def test_every_changed_byte_of_the_stored_numbers_is_refused(refused):
    numbers = np.arange(1000, 1050)
    content = bytearray(array_bytes({"x": numbers}))
    start = content.index(numbers.tobytes())
    for position in range(start, start + numbers.nbytes):
        content[position] ^= 0x10
        with refused("file.npz", "damaged"):
            parse_arrays(bytes(content), Path("file.npz"))
        content[position] ^= 0x10
    np.testing.assert_array_equal(parse_arrays(bytes(content), Path("file.npz"))["x"], numbers)


def test_pickled_objects_are_refused_and_never_run(tmp_path, refused):
    class Trap:
        def __reduce__(self):
            return (os.mkdir, (str(tmp_path / "sprung"),))

    np.savez(tmp_path / "file.npz", x=np.array([Trap()], dtype=object))
    with refused("file.npz", "pickled objects"):
        parse_arrays((tmp_path / "file.npz").read_bytes(), Path("file.npz"))
    assert not (tmp_path / "sprung").exists()


@law
@given(st.binary(max_size=200))
def test_bytes_that_are_no_archive_are_refused(content):
    with pytest.raises(ValueError, match=r"file\.npz"):
        parse_arrays(content, Path("file.npz"))


@law
@given(
    st.dictionaries(
        st.text(max_size=5), st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False, allow_infinity=False)
    )
)
def test_json_survives_the_round_trip(content):
    written = json_bytes(content)
    assert written.endswith(b"\n")
    assert parse_json(written, Path("file.json")) == content == json.loads(written)


def test_json_never_holds_a_number_that_json_does_not_know():
    with pytest.raises(ValueError, match="JSON compliant"):
        json_bytes({"loss": float("nan")})


@pytest.mark.parametrize("content", [b"", b"{", b'{"a": 1', b"\xff\xfe\x00", b"nonsense", b"[1, 2]", b"3", b"null"])
def test_what_is_no_json_object_is_refused(content, refused):
    with refused("file.json", "restore the file"):
        parse_json(content, Path("file.json"))


def test_a_file_that_cannot_be_read_is_refused(tmp_path, refused):
    with refused("missing.bin"):
        read_bytes(tmp_path / "missing.bin")
    with refused(str(tmp_path)):
        read_bytes(tmp_path)


def test_sha256_is_the_published_one():
    assert sha256(b"abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # FIPS 180-2, B.1


def test_every_single_bit_flip_of_an_archive_is_refused_or_harmless(tmp_path):
    buffer = io.BytesIO()
    np.savez_compressed(buffer, x=np.arange(40) % 7)
    content, wanted = bytearray(buffer.getvalue()), np.arange(40) % 7
    for bit in range(8 * len(content)):
        content[bit // 8] ^= 1 << bit % 8
        try:
            arrays = parse_arrays(bytes(content), tmp_path)
        except UserError:
            pass
        else:
            assert all(np.array_equal(values, wanted) for values in arrays.values())
        content[bit // 8] ^= 1 << bit % 8


def test_a_single_array_or_a_text_named_npz_is_refused(tmp_path, refused):
    buffer = io.BytesIO()
    np.save(buffer, np.arange(3))
    for content in (buffer.getvalue(), b"hello", b""):
        with refused("no .npz archive"):
            parse_arrays(content, tmp_path)


def test_a_file_in_the_way_of_a_folder_is_one_line(tmp_path, refused):
    (tmp_path / "f").write_text("")
    with refused("cannot write"):
        write_atomically(tmp_path / "f" / "x", b"")
