"""What a page says of attacks on a run, and of its place on a chip."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from shared_pages import Page

from hardware.compile.compiler import compile_run
from neuro.base.errors import UserError
from sim.reports.attack import write_attack_report
from sim.reports.page import write_report
from sim.robustness.bridge.run import AttackConfig, AttackRun, attack

CONFIG = AttackConfig(attacks="noise,pgd-10", eps=(0.1, 0.3), images=30)
DEPLOYMENT = "deployment.json"


@pytest.fixture(scope="module")
def attacked(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of a finished run, attacked, with the page of the attack. Not to be written to: copy it."""
    run = Path(shutil.copytree(finished, tmp_path_factory.mktemp("attacked") / "run"))
    write_attack_report(AttackRun(run, CONFIG), attack(run, CONFIG))
    return run


@pytest.fixture
def run(attacked: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(attacked, tmp_path / "run"))


def result_of(run: Path) -> tuple[Path, dict[str, Any]]:
    path = next((run / "attacks").glob("*/attack.json"))
    return path, json.loads(path.read_text())


def links(page: Page) -> list[str]:
    return re.findall(r'<a href="([^"]+)"', page.source)


def test_robust_accuracy_and_verdict_are_on_the_page(run: Path) -> None:
    path, result = result_of(run)
    page = Page(write_report([run], run / "report.html"))
    assert page.headings.count("Robust accuracy") == page.headings.count("Attacks") == 1
    for told in (f"{result['robust']['0.1']:.4f}", f"{result['robust']['0.3']:.4f}", result["verdict"],
                 "robust accuracy at linf 0.1, measured", "n = 30"):  # fmt: skip
        assert told in page.text
    assert links(page) == [f"attacks/{path.parent.name}/attack.html"]
    assert (run / links(page)[0]).is_file()


def test_links_lead_from_where_the_page_is(run: Path, tmp_path: Path) -> None:
    (tmp_path / "pages").mkdir()
    page = Page(write_report([run], tmp_path / "pages" / "page.html"))
    assert (tmp_path / "pages" / links(page)[0]).is_file()


def test_a_run_that_was_not_attacked_says_nothing_of_it(finished: Path, tmp_path: Path) -> None:
    page = Page(write_report([finished], tmp_path / "page.html"))
    assert "robust" not in page.text
    assert links(page) == []


def test_an_attack_on_other_weights_is_left_out(run: Path, tmp_path: Path) -> None:
    path, _ = result_of(run)
    path.parent.rename(path.parent.with_name("noise+pgd-10-0123456789"))
    assert "robust" not in Page(write_report([run], tmp_path / "page.html")).text


def test_norms_have_a_figure_each(run: Path) -> None:
    attack(run, AttackConfig(attacks="noise", norm="l2", eps=(1.0,), images=10))
    page = Page(write_report([run], run / "report.html"))
    assert page.headings.count("Robust accuracy") == 2
    assert "<td>l2 1</td>" in page.source
    assert "n = 30, attacks noise,pgd-10" in page.text  # the card: of the attack with the most images
    assert len(links(page)) == 1  # the second one has no page


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"robust": None}, "robust is nothing, needs an object"),
        ({"robust": {}}, "no size, or one without an interval"),
        ({"robust_interval": {}}, "no size, or one without an interval"),
    ],
)
def test_a_damaged_attack_is_refused(changes: dict[str, Any], said: str, run: Path, tmp_path: Path) -> None:
    path, result = result_of(run)
    path.write_text(json.dumps({**result, **changes}))
    with pytest.raises(UserError, match=rf"attack\.json: .*{said}"):
        write_report([run], tmp_path / "page.html")


def test_the_place_on_a_chip_is_on_the_page_and_says_that_it_is_modelled(run: Path) -> None:
    compile_run(run)
    page = Page(write_report([run], run / "report.html"))
    assert page.headings.count("On a chip") == page.headings.count("On a chip: the fullest core") == 1
    content = json.loads((run / DEPLOYMENT).read_text())
    assert f"{content['cores']} core" in page.text
    for told in ("modelled: placed by our own partition", "no chip was involved", "Not priced yet",
                 *(population["process"] for population in content["populations"])):  # fmt: skip
        assert told in page.text
    assert "energy of one image" not in page.text
    (run / "compile.html").write_text("a page")
    assert "compile.html" in links(Page(write_report([run], run / "report.html")))


def test_a_damaged_deployment_is_refused(run: Path, tmp_path: Path) -> None:
    for content in ("{}", '{"cores": 1, "chips": 1, "limits": {"neurons": [1, 0]}, "populations": []}', "[1]"):
        (run / DEPLOYMENT).write_text(content)
        with pytest.raises(UserError, match=r"deployment\.json"):
            write_report([run], tmp_path / "page.html")
    assert not (tmp_path / "page.html").exists()
