from __future__ import annotations

import importlib.util
import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from shared_processes import lava_workers

from sim.commands import demo

Command = Callable[..., Any]

needs_lava = pytest.mark.skipif(importlib.util.find_spec("lava") is None, reason="Lava is not installed")


@pytest.fixture
def few_attacked(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Call it and demos attack ten images, by two attacks, from then on."""
    return lambda: monkeypatch.setattr(demo, "ATTACK", replace(demo.ATTACK, images=10, attacks="noise,pgd-10"))


@pytest.fixture
def without_lava(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lava cannot be found."""
    find = importlib.util.find_spec

    def found(name: str, package: str | None = None) -> Any:
        return None if name.partition(".")[0] == "lava" else find(name, package)

    monkeypatch.setattr(importlib.util, "find_spec", found)


@pytest.mark.lava
@needs_lava
@pytest.mark.timeout(180)
def test_the_demo_proves_equality_and_replaces_its_own_folder(
    command: Command, tmp_path: Path, few_attacked: Callable[[], None]
) -> None:
    folder = tmp_path / "demo"
    answer = command("demo", "--out", folder, "--images", 20)
    assert answer.code == 0
    assert answer.out.rstrip().replace("\n", "").endswith(str(folder / "report.html"))
    assert "equal" in answer.out
    rows = [json.loads(line) for line in (folder / "results.jsonl").read_text().splitlines()]
    assert [(row["backend"], row["check"], row["accuracy"]["n"]) for row in rows] == [("lava", "events", 20)]
    found = rows[0]["differences"]
    assert (found["spikes"], found["states"], found["predictions"], found["n_images"]) == (0, 0, 0, 20)
    assert found["n_spikes"] > 1000
    page = (folder / "report.html").read_text()
    assert "equal: 20 images" in page
    for told in ("robust accuracy at linf 0.1", "energy of an inference, modelled",
                 "energy of a learned image, modelled"):  # fmt: skip
        assert told in page
    assert re.search("(?<!NOT )TRUSTED", page)
    links = re.findall(r'<a href="([^"]+)"', page)
    assert [Path(link).name for link in links] == ["attack.html", "compile.html"]
    assert all((folder / link).is_file() for link in links)
    assert not lava_workers()
    (folder / "results.jsonl").write_text("left by an earlier version")
    (folder / "weights.npz").write_bytes(b"")
    few_attacked()
    again = command("demo", "--out", folder, "--images", 3, "--json").json
    assert again["test_accuracy"] > 0.9
    assert again["lava"]["differences"] == {"spikes": 0, "states": 0, "predictions": 0}
    assert (again["lava"]["backend"], again["lava"]["n"]) == ("lava", 3)
    assert len((folder / "results.jsonl").read_text().splitlines()) == 1
    assert "equal: 3 images" in Path(again["report"]).read_text()
    assert not lava_workers()


def test_a_foreign_folder_is_refused_and_untouched(command: Command, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    (tmp_path / "file").write_text("a file")
    for name in ("mine", "file"):
        answer = command("demo", "--out", tmp_path / name, "--images", 1)
        assert answer.code == 2
        assert name in answer.mistake
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["thesis.txt"]
    assert (tmp_path / "file").read_text() == "a file"


@pytest.mark.slow
@pytest.mark.usefixtures("without_lava")
def test_without_lava_the_demo_still_trains_and_reports(
    command: Command, tmp_path: Path, few_attacked: Callable[[], None]
) -> None:
    few_attacked()
    folder = tmp_path / "demo"
    answer = command("demo", "--out", folder, "--json")
    assert answer.code == 0
    assert "not installed" in answer.err
    assert answer.json["lava"] is None
    assert answer.json["test_accuracy"] > 0.9
    assert Path(answer.json["report"]) == folder / "report.html"
    assert "Not checked yet" in (folder / "report.html").read_text()


@needs_lava
@pytest.mark.parametrize("images", [0, 100_000])
def test_a_number_of_images_that_cannot_be_is_refused(images: int, command: Command, tmp_path: Path) -> None:
    answer = command("demo", "--out", tmp_path / "demo", "--images", images)
    assert answer.code == 2
    assert "images" in answer.mistake
    assert not lava_workers()
