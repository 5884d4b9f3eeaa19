"""What a page says of certificates: the lower curve, whose it is, and the attacked one in the same picture."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from shared_pages import Page

from neuro.base.errors import UserError
from sim.reports.figures.certified import Lower, Upper, certified_curves
from sim.reports.page import write_report
from sim.robustness.bridge.run import AttackConfig, attack
from sim.robustness.certified.config import CertifyConfig
from sim.robustness.certified.run import CertifyRun

CONFIG = CertifyConfig(sigma=(0.1, 0.2), samples=100, selection=20, images=12)


@pytest.fixture(scope="module")
def certified(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of a finished run, certified in both norms. Not to be written to: copy it."""
    run = Path(shutil.copytree(finished, tmp_path_factory.mktemp("certified") / "run"))
    for norm in ("l2", "linf"):
        job = CertifyRun(run, CertifyConfig(**{**vars(CONFIG), "norm": norm}))
        for shard in job.missing():
            job.do(shard)
        job.result()
    return run


@pytest.fixture
def run(certified: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(certified, tmp_path / "run"))


def test_the_page_shows_certificates_and_whose_they_are(run: Path) -> None:
    page = Page(write_report([run], run / "report.html"))
    assert page.headings.count("Certified accuracy") == 2
    assert page.headings.count("Certificates") == 1
    assert "not of the plain network" in page.text
    assert "In linf by the inequality of norms only" in page.text
    assert "Shaded: what neither decides" not in page.text
    content = json.loads(next((run / "certificates").glob("sigma0.2-*/l2-certificate.json")).read_text())
    for told in (f"{content['smoothed_accuracy']:.4f}", f"{content['certified']['0.25']:.4f}", "l2 0.25"):
        assert told in page.text


def test_an_attack_in_the_same_norm_stands_in_the_same_picture(run: Path) -> None:
    attack(run, AttackConfig(attacks="noise", norm="l2", eps=(0.5, 1.0), images=10))
    page = Page(write_report([run], run / "report.html"))
    assert page.text.count("Shaded: what neither decides") == 1


def test_a_run_without_certificates_says_nothing_of_them(finished: Path, tmp_path: Path) -> None:
    assert "ertified" not in Page(write_report([finished], tmp_path / "page.html")).text


def test_certificates_of_other_weights_are_left_out_and_damaged_ones_named(run: Path) -> None:
    paths = sorted((run / "certificates").glob("*/*-certificate.json"))
    for path in paths:
        path.write_text(json.dumps({**json.loads(path.read_text()), "weights_sha256": "other"}))
    assert "Certified accuracy" not in Page(write_report([run], run / "report.html")).text
    paths[0].write_text(json.dumps({**json.loads(paths[0].read_text()), "smoothed_accuracy": 2}))
    with pytest.raises(UserError, match=r"smoothed_accuracy .*delete it and certify again"):
        write_report([run], run / "report.html")


def test_curves_fall_from_what_is_not_abstained_to_nothing_beyond_the_largest_radius() -> None:
    lower = Lower("certified", [0.1, 0.2, 0.2, 0.7], 8, 0.9)
    assert lower.shares(np.array([0.0, 0.1, 0.15, 0.2, 0.5, 0.71])).tolist() == [0.5, 0.5, 0.375, 0.375, 0.125, 0.0]
    axes = Figure().subplots()
    certified_curves(axes, "l2", [lower], [Upper("attacked", 0.9, {0.5: 0.6, 1.0: 0.2}, {0.0: (0.8, 0.95)})])
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["certified", "not decided", "attacked"]
    assert axes.get_xlabel() == "length of the change (l2 eps)"
