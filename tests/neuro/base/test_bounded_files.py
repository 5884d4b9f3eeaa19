"""Files that lie about what they are or hold: refused before memory is taken, and never waited for."""

import errno
import io
import os
import socket
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest

from neuro.base import files
from neuro.base.files import array_bytes, is_file, parse_arrays, parse_json, read_bytes, write_atomically


def test_a_pipe_a_socket_a_device_and_a_folder_are_refused_unopened(tmp_path, refused):
    os.mkfifo(tmp_path / "pipe.npz")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket.npz"))
        (tmp_path / "link.npz").symlink_to(tmp_path / "pipe.npz")
        (tmp_path / "zero.npz").symlink_to("/dev/zero")
        for name, kind in (("pipe", "pipe"), ("socket", "socket"), ("link", "pipe"), ("zero", "device")):
            with refused(f"{name}.npz", f"it is a {kind}", "give a file"):
                read_bytes(tmp_path / f"{name}.npz")
            assert not is_file(tmp_path / f"{name}.npz")


def test_names_that_no_file_can_have_are_one_line(tmp_path, refused):
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    for name, reason in (("x" * 300, os.strerror(errno.ENAMETOOLONG)), ("a\0b", "null"), ("loop", "symbolic")):
        for call in (read_bytes, is_file):
            with refused("cannot read", reason):
                call(tmp_path / name)
        with refused("cannot write"):
            write_atomically(tmp_path / name / "y", b"")
    assert not is_file(tmp_path / "missing")
    assert not is_file(tmp_path)


def test_a_file_beyond_the_limit_is_not_read(tmp_path, monkeypatch, refused):
    (tmp_path / "x.bin").write_bytes(b"12345678")
    monkeypatch.setenv("SETTLE_MAX_BYTES", "8")
    assert read_bytes(tmp_path / "x.bin") == b"12345678"
    monkeypatch.setenv("SETTLE_MAX_BYTES", "7")
    with refused("x.bin: holds 8 bytes, the limit is 7 bytes"):
        read_bytes(tmp_path / "x.bin")


def packed(**members):
    """An archive of compressed .npy members, each a header and so many zeros: (shape, dtype, bytes of zeros)."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, (shape, dtype, n_zeros) in members.items():
            header = io.BytesIO()
            np.lib.format.write_array_header_1_0(header, {"descr": dtype, "fortran_order": False, "shape": shape})
            with archive.open(f"{name}.npy", "w", force_zip64=True) as file:
                file.write(header.getvalue())
                for _ in range(n_zeros >> 20):
                    file.write(bytes(1 << 20))
                file.write(bytes(n_zeros % (1 << 20)))
    return buffer.getvalue()


def peak_of(call):
    tracemalloc.start()
    try:
        call()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_a_small_archive_that_declares_much_takes_no_memory(monkeypatch, refused):
    assert files.SUSPICIOUS_BYTES < 400e6  # 390 kB that declared so much were once read
    monkeypatch.setattr(files, "SUSPICIOUS_BYTES", 4 << 20)
    content = packed(**{f"x{i}": ((2, 1 << 20), "|u1", 2 << 20) for i in range(4)})
    assert len(content) < 10_000

    def refuse():
        with refused("bomb.npz", "that declare 8.39 MB", "SETTLE_MAX_BYTES=", "numpy.savez"):
            parse_arrays(content, Path("bomb.npz"))

    assert peak_of(refuse) < 1e6
    monkeypatch.setenv("SETTLE_MAX_BYTES", "9MB")
    assert peak_of(lambda: parse_arrays(content, Path("trusted.npz"))) < 9.5e6
    monkeypatch.setenv("SETTLE_MAX_BYTES", "8MB")
    with refused("holds 8.39 MB, the limit is 8 MB"):
        parse_arrays(content, Path("large.npz"))


def test_zeros_that_compress_well_are_read():
    arrays = parse_arrays(packed(x=((3000, 784), "|u1", 3000 * 784)), Path("zeros.npz"))
    assert arrays["x"].shape == (3000, 784)
    assert not arrays["x"].any()


@pytest.mark.parametrize("shape", [(1 << 40,), (3, 1 << 62), (-8,), (7,), (9,), (-2, -4)])
def test_a_header_that_lies_takes_no_memory(shape, refused):
    content = packed(x=(shape, "|u1", 8))

    def refuse():
        with refused("lie.npz", "damaged"):
            parse_arrays(content, Path("lie.npz"))

    assert peak_of(refuse) < 1e6


def test_a_directory_that_lies_takes_no_memory(refused):
    content = bytearray(packed(x=((8,), "|u1", 8)))
    for size in (1 << 20, 1 << 31, 137):
        directory = content.index(b"PK\1\2")
        content[directory + 24 : directory + 28] = size.to_bytes(4, "little")

        def refuse():
            with refused("lie.npz", "damaged"):
                parse_arrays(bytes(content), Path("lie.npz"))

        assert peak_of(refuse) < 1e6


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_member_that_is_there_twice_is_refused(refused):
    buffer = io.BytesIO(array_bytes({"x": np.arange(3)}))
    with zipfile.ZipFile(buffer, "a") as archive:
        archive.writestr("x.npy", archive.read("x.npy"))
    with refused("holds x twice"):
        parse_arrays(buffer.getvalue(), Path("x.npz"))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("[" * 100_000, "not valid JSON"), ('{"a": NaN}', "NaN"), ('{"a": -Infinity}', "not finite"),
        ('{"a": 1e999}', "the number 1e999, which is not finite"), ('{"a": 1' + "0" * 400 + "}", "beyond 64 bits"),
        ('{"a": 18446744073709551616}', "beyond 64 bits"), ('{"a": 1, "b": {"c": 1, "c": 2}}', "'c' twice"),
    ],
)  # fmt: skip
def test_json_that_no_file_of_ours_holds_is_refused(content, words, refused):
    with refused("file.json", words, "restore the file"):
        parse_json(content.encode(), Path("file.json"))


def test_text_in_another_encoding_is_refused(refused):
    with refused("not valid JSON"):
        parse_json('{"name": "\xe9"}'.encode("latin-1"), Path("file.json"))
