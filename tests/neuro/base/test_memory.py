import math

import pytest

from neuro.base import memory
from neuro.base.errors import UserError
from neuro.base.memory import DEFAULT_LIMIT, free_bytes, largest_bytes, memory_for, require_bytes, size_text

SIZES = {"1": 1, "2e9": 2 * 10**9, "500MB": 5 * 10**8, "16 GiB": 16 << 30, "1.5k": 1500, "8_000": 8000, "": 8 << 30}


@pytest.mark.parametrize("text", SIZES)
def test_the_limit_is_a_number_of_bytes(text, monkeypatch):
    monkeypatch.setenv("SETTLE_MAX_BYTES", text)
    assert largest_bytes() == SIZES[text]


def test_without_one_the_limit_is_8_gib(monkeypatch):
    monkeypatch.delenv("SETTLE_MAX_BYTES", raising=False)
    assert largest_bytes() == DEFAULT_LIMIT == 8 * 1024**3


@pytest.mark.parametrize("text", ["much", "-5", "0", "1e999", "12 parsecs", "0.5", "..", "nan"])
def test_another_limit_is_refused(text, monkeypatch, refused):
    monkeypatch.setenv("SETTLE_MAX_BYTES", text)
    with refused(f"SETTLE_MAX_BYTES {text!r}", "2e9"):
        largest_bytes()


def test_beyond_the_limit_nothing_is_taken(monkeypatch, refused):
    monkeypatch.setenv("SETTLE_MAX_BYTES", "1MB")
    require_bytes("x.npz", 10**6)
    with refused("x.npz: holds 1 MB, the limit is 1 MB", "SETTLE_MAX_BYTES"):
        require_bytes("x.npz", 10**6 + 1)


def test_more_than_is_free_is_called_that(monkeypatch, refused):
    monkeypatch.setattr(memory, "free_bytes", lambda: 3e6)
    with refused("x.npz: not enough memory: needs 4 MB, 3 MB free"):
        require_bytes("x.npz", 4 * 10**6)


def test_running_out_is_called_that(monkeypatch, refused):
    monkeypatch.setattr(memory, "free_bytes", lambda: 5e8)
    with refused("x.npz: not enough memory: needs 2 GB, 500 MB free"), memory_for("x.npz", 2 * 10**9):
        raise MemoryError
    with refused("x.npz: not enough memory: 500 MB free"), memory_for("x.npz"):
        raise MemoryError
    with pytest.raises(KeyError), memory_for("x.npz"):
        raise KeyError


def test_free_is_what_the_least_of_machine_group_and_process_has(monkeypatch):
    assert 0 < free_bytes() < 1e15
    monkeypatch.setattr(memory, "_free_of_group", lambda: 12.0)
    assert free_bytes() == 12.0
    monkeypatch.setattr(memory, "_free_of_process", lambda: 11.0)
    assert free_bytes() == 11.0


def test_a_limit_of_the_process_counts(monkeypatch):
    monkeypatch.setattr(memory.resource, "getrlimit", lambda _: (10**12, 10**12))
    assert 0 < memory._free_of_process() < 10**12
    monkeypatch.setattr(memory.resource, "getrlimit", lambda _: (1, 1))
    assert memory._free_of_process() == 0


def test_a_limit_of_the_group_counts(tmp_path, monkeypatch):
    for name, text in (("max", "900\n"), ("current", "200\n")):
        (tmp_path / f"memory.{name}").write_text(text)
    monkeypatch.setattr(memory, "GROUP", tmp_path)
    assert memory._free_of_group() == 700
    (tmp_path / "memory.stat").write_text("anon 80\ninactive_file 50\n")  # what was read is given back when asked for
    assert memory._free_of_group() == 750
    (tmp_path / "memory.max").write_text("max\n")
    assert memory._free_of_group() == math.inf


@pytest.mark.parametrize(("n_bytes", "text"), [(0, "0 bytes"), (999, "999 bytes"), (407e6, "407 MB"), (2e12, "2 TB")])
def test_sizes_are_read_by_people(n_bytes, text):
    assert size_text(n_bytes) == text
    assert "unknown" in size_text(math.inf)


def test_an_error_about_memory_is_the_users():
    assert isinstance(memory.out_of_memory("x"), UserError)
