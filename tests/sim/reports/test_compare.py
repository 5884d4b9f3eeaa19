"""Runs beside each other on one page."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from shared_browser import needs_browser, overflowing
from shared_pages import Page, check_layout

from hardware.compile.compiler import compile_run
from hardware.energy.profile import profile, write_prices
from neuro.artifact.run_folder import load_artifact
from neuro.base.errors import UserError
from sim.reports.attack import write_attack_report
from sim.reports.compare import short_names
from sim.reports.figures.energy import in_words
from sim.reports.page import write_report
from sim.reports.priced import PRICES, prices_in
from sim.robustness.bridge.run import AttackConfig, AttackRun, attack

CONFIG = AttackConfig(attacks="pgd-10", eps=(0.1, 0.3), images=20)


@pytest.fixture(scope="module")
def runs(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """A run that was attacked and priced, and one that was only trained. Not to be written to."""
    folder = tmp_path_factory.mktemp("compared")
    both = [Path(shutil.copytree(finished, folder / name)) for name in ("first", "second")]
    write_attack_report(AttackRun(both[0], CONFIG), attack(both[0], CONFIG))
    artifact = load_artifact(both[0])
    write_prices(profile(artifact, compile_run(both[0]), 10), artifact, both[0])
    return both


@pytest.fixture(scope="module")
def page(runs: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_report(runs, tmp_path_factory.mktemp("page") / "page.html")


def test_five_measures_stand_beside_each_other(runs: list[Path], page: Path) -> None:
    found = Page(page)
    check_layout(found)
    first = found.headings[: found.headings.index(str(runs[0]))]
    assert first == ["Side by side", "In numbers", "Accuracy", "Spikes", "Energy on a chip", "Latency on a chip",
                     "Robust accuracy", "Perturbation-to-signal ratio (PSR)"]  # fmt: skip
    artifact = load_artifact(runs[0])
    price = prices_in(runs[0], artifact)["inference"]
    text = found.text.replace("\u00a0", " ")
    assert in_words(price.energy).replace("\u00a0", " ") in text
    assert f"{artifact.manifest['results']['spikes_per_inference']:,.1f}" in text
    numbers = found.source.split("In numbers", 1)[1].split("</table>")
    assert [numbers[0].count(f"<td>{name}</td>") for name in ("first", "second")] == [1, 1]
    assert [numbers[1].count(f"<td>{name}</td>") for name in ("first", "second")] == [2, 0]
    assert numbers[1].count("linf 0.3") == 1


def test_one_run_is_compared_with_nothing(runs: list[Path], tmp_path: Path) -> None:
    assert "Side by side" not in Page(write_report(runs[:1], tmp_path / "page.html")).headings


def test_prices_of_other_weights_are_left_out_and_damaged_ones_refused(runs: list[Path], tmp_path: Path) -> None:
    run = Path(shutil.copytree(runs[0], tmp_path / "run"))
    artifact, told = load_artifact(run), (run / PRICES).read_text()
    (run / PRICES).write_text(told.replace(artifact.manifest["files"]["weights.npz"], "0"))
    assert prices_in(run, artifact) == {}
    (run / PRICES).write_text(told.replace('"energy"', '"heat"'))
    with pytest.raises(UserError, match=r"energy\.json: inference\.energy is missing"):
        prices_in(run, artifact)


def test_names_are_as_short_as_they_can_be(tmp_path: Path) -> None:
    def names(*parts: str) -> list[str]:
        return short_names([tmp_path / part for part in parts])

    assert names("a", "b") == ["a", "b"]
    assert names("x/run", "y/run") == ["x/run", "y/run"]
    assert names("a", "a") == ["1: a", "2: a"]
    (long, _) = names("a" * 40, "b")
    assert long == "…" + 21 * "a"


@pytest.mark.slow
@needs_browser
@pytest.mark.timeout(60)
def test_nothing_overflows_in_a_browser(page: Path, tmp_path: Path) -> None:
    """Takes seconds: a browser starts, once."""
    text = page.read_text(encoding="utf-8")
    broken = text.replace('<p class="lead">', '<p class="lead" style="width: 700px">', 1)
    narrow, wide, found = overflowing([(text, 390), (text, 1100), (broken, 390)], tmp_path)
    assert (narrow, wide) == ([], [])
    assert found
