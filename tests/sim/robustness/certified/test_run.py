"""Certificates of runs: equal whatever the batch, the process or the interruption; laws; refusals; the command."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from shared_keys import CERTIFY_KEYS

import settle
from neuro.base.errors import UserError
from neuro.data.sets import Dataset
from sim.backends.protocol import get_backend
from sim.evaluate import data_of, load_run
from sim.reports.priced import PRICES
from sim.robustness.attacks.threats import norm_of
from sim.robustness.certified import run as certified
from sim.robustness.certified.config import CertifyConfig
from sim.robustness.certified.result import CertifyResult
from sim.robustness.certified.run import CertifyRun
from sim.robustness.certified.smoothed_attack import smoothed_pgd
from sim.robustness.certified.votes import Noise, count_votes, leading
from sim.training.config import TrainConfig
from sim.twins.make import make_twin

FEW = CertifyConfig(sigma=(0.3,), samples=200, selection=30, images=25, seed=4)
Command = Callable[..., Any]


@pytest.fixture(scope="module")
def noisy(blob_data: Dataset, train: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run trained with noise. Not to be written to."""
    config = TrainConfig(
        seed=3, hidden=(8,), epochs=4, learning_rate=1.4, output_share=0.125, threads=1, noise=0.3, refit=False
    )
    folder = tmp_path_factory.mktemp("noisy") / "run"
    train(blob_data, config, folder)
    return folder


@pytest.fixture
def run(noisy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy that may be changed; blocks of 10 images."""
    monkeypatch.setattr(certified, "BLOCK", 10)
    return Path(shutil.copytree(noisy, tmp_path / "run"))


def do_all(run: Path, config: CertifyConfig = FEW) -> CertifyResult:
    job = CertifyRun(run, config)
    for shard in job.missing():
        job.do(shard)
    return job.result()


def votes_in(result: CertifyResult) -> list[Any]:
    return [row for certificate in result.certificates for row in certificate.rows]


def test_votes_do_not_depend_on_batches_threads_or_backends(run: Path) -> None:
    artifact = load_run(run)
    image = data_of(artifact).x_test[3]
    found = []
    for backend, threads, at_once in (("events", 1, 512), ("events", 2, 7), ("torch", 1, 33), ("reference", 1, 40)):
        with get_backend(backend).open(artifact.spec, threads=threads) as session:
            found.append(count_votes(session, image, Noise(0.3, 9), 3, 5, 40, at_once).tolist())
            parts = [count_votes(session, image, Noise(0.3, 9), 3, first, 20) for first in (5, 25)]
            assert sum(parts).tolist() == found[-1]
    assert all(votes == found[0] for votes in found)
    assert sum(found[0]) == 40


def test_accuracies_fall_with_the_radius_and_never_exceed_the_smoothed_one(run: Path) -> None:
    result = do_all(run, replace(FEW, sigma=(0.3, 0.6)))
    for certificate in result.certificates:
        shares = [found.value for found in certificate.certified.values()]
        assert next(iter(certificate.certified)) == 0.0
        assert shares == sorted(shares, reverse=True)
        assert shares[0] <= certificate.smoothed.value
        assert certificate.largest >= max(certificate.right_radii)
        for row, radius in zip(certificate.rows, certificate.image_radii, strict=True):
            assert radius is None or row.predicted == row.selected
    assert result.smoothed_accuracy > 0.8
    assert result.certified[0.25] > 0.3
    assert result.trained_noise == 0.3
    assert result.notes == ()


def test_an_interrupted_certificate_goes_on_and_is_the_same(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = do_all(run)
    other = Path(shutil.copytree(run, run.with_name("other"), ignore=shutil.ignore_patterns("certificates")))
    monkeypatch.setattr(certified, "KEEP_EVERY_S", 0.0)
    job, seen = CertifyRun(other, FEW), []

    def interrupt(text: str) -> None:
        seen.append(text)
        if len(seen) == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        job.do(2, interrupt)
    assert len(job.rows(2)) == 3
    assert job.missing() == [1, 2, 3]
    seen.clear()
    job.do(2, seen.append)
    assert seen == [f"sigma 0.3, image {image} of 25" for image in range(14, 21)]
    for shard in (3, 1):
        job.do(shard)
    assert votes_in(job.result()) == votes_in(whole)
    with pytest.raises(UserError, match=r"shards \[3\] are missing"):
        CertifyRun(other, replace(FEW, images=26)).result()


def test_more_images_other_radii_and_norms_count_only_what_is_missing(run: Path) -> None:
    do_all(run)
    more = CertifyRun(run, replace(FEW, images=29))
    assert more.missing() == [3]
    assert CertifyRun(run, replace(FEW, norm="linf", radii=(0.01, 0.02), alpha=0.01, images=12)).missing() == []
    for change in ({"seed": 5}, {"samples": 210}, {"selection": 31}, {"sigma": (0.31,)}, {"backend": "reference"}):
        assert CertifyRun(run, replace(FEW, **change)).missing() == [1, 2, 3]


def test_linf_is_the_inequality_of_norms_and_says_so(run: Path) -> None:
    l2, linf = do_all(run), do_all(run, replace(FEW, norm="linf", radii=(0.05,)))
    for ours, theirs in zip(linf.certificates[0].image_radii, l2.certificates[0].image_radii, strict=True):
        assert (ours is None) == (theirs is None)
        assert ours is None or ours == pytest.approx(theirs / 4)  # 16 pixels
    assert "inequality of norms only: the l2 radius / sqrt(16)" in str(linf)
    assert "not of the plain network" in str(l2)


def test_no_attack_below_the_radius_changes_the_smoothed_answer(run: Path) -> None:
    config = replace(FEW, images=20, samples=1000)
    certificate = do_all(run, config).certificates[0]
    artifact = load_run(run)
    dataset = data_of(artifact)
    chosen = [i for i, radius in enumerate(certificate.image_radii) if radius is not None]
    radii = torch.tensor([0.999 * certificate.image_radii[i] for i in chosen])
    classes = [certificate.rows[i].selected for i in chosen]
    images = torch.tensor(dataset.x_test[chosen])
    moved = smoothed_pgd(make_twin(artifact.spec), images, torch.tensor(classes), radii, 0.3, steps=8, copies=4)
    length = norm_of(moved - images, "l2")
    assert (length <= radii + 1e-5).all()
    assert (length > 0.5 * radii).float().mean() > 0.9  # it went far
    before, after = [], []
    with get_backend("events").open(artifact.spec, threads=1) as session:
        for index, (image, changed) in enumerate(zip(images.numpy(), moved.numpy(), strict=True)):
            votes = count_votes(session, changed, Noise(0.3, 77), index, 0, 600)
            before.append(count_votes(session, image, Noise(0.3, 77), index, 0, 600)[classes[index]])
            after.append(votes[classes[index]])
            assert leading(votes) == classes[index]
    assert np.mean(after) < np.mean(before)  # and hurt


def test_a_run_without_noise_is_warned_with_what_to_expect(finished: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(finished, tmp_path / "run"))
    (note,) = CertifyRun(run, replace(FEW, sigma=(2.0,))).warnings()
    assert note.startswith("trained without noise: under sigma 2, ")
    assert note.endswith("settle train ep --noise 2 trains for it")
    assert CertifyRun(run, CertifyConfig(samples=50)).config.sigma == (0.25,)


def test_the_noise_of_the_training_is_the_usual_sigma(run: Path) -> None:
    job = CertifyRun(run, CertifyConfig(samples=50))
    assert job.config.sigma == (0.3,)
    assert job.config.images == 90  # all there are
    assert job.warnings() == []


def test_constant_payloads_and_the_cost_are_told(run: Path) -> None:
    result = do_all(run)
    content = result.to_json()
    assert content["cost"] == {"inferences": 230, "steps_per_inference": load_run(run).spec.free_steps, "energy": None}
    shares = list(content["plain"]["constant"].values())
    assert shares == sorted(shares, reverse=True)
    assert shares[-1] == 0.0
    assert content["plain"]["payload_unit"] == 1 / 32
    weights = load_run(run).manifest["files"]["weights.npz"]
    band = {"low": 1e-6, "high": 3e-6, "unit": "J"}
    price = {"energy": band, "latency": {**band, "unit": "s"}, "parts": {}, "n_images": 5}
    (run / PRICES).write_text(json.dumps({"weights_sha256": weights, "inference": price, "learning": None}))
    told = settle.load(run).certify(0.3, samples=200, selection=30, images=25, seed=4, progress=False)
    assert told.cost.energy.low == pytest.approx(230e-6)
    assert "690 µJ (modelled)" in str(told)


def test_stock_networks_and_their_emulator(finished_stock: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(finished_stock, tmp_path / "run"))
    result = do_all(run, CertifyConfig(sigma=(0.1,), samples=30, selection=10, images=4))
    assert [sum(row.votes) for row in votes_in(result)] == [30] * 4


def test_damaged_votes_are_refused(run: Path) -> None:
    job = CertifyRun(run, FEW)
    job.do(1)
    path = job.path(1)
    content = json.loads(path.read_bytes())
    content["rows"][2]["votes"][0] += 1
    path.write_text(json.dumps(content))
    with pytest.raises(UserError, match="votes of other images or samples; delete the file"):
        CertifyRun(run, FEW).missing()
    path.write_text("{")
    with pytest.raises(UserError, match="not valid JSON"):
        CertifyRun(run, FEW).missing()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"sigma": (0.0,)}, r"sigma 0.0 outside \(0, 10\]"),
        ({"sigma": (float("nan"),)}, "sigma nan"),
        ({"sigma": ()}, "sigma .*one or more different"),
        ({"sigma": (0.5, 0.5)}, "sigma .*one or more different"),
        ({"norm": "l7"}, "norm 'l7' is unknown"),
        ({"samples": 9}, "samples 9: at alpha 0.001 even 9 votes of 9 certify nothing; give at least 10"),
        ({"alpha": 0.0}, "alpha 0.0"),
        ({"images": 0}, "images 0"),
        ({"radii": (0.5, 9.0)}, "radii 9: 200 samples certify at most radius 0.5"),
        ({"backend": "magic"}, "backend 'magic' is unknown"),
        ({"seed": -1}, "seed -1"),
    ],
    ids=str,
)
def test_impossible_certificates_are_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(UserError, match=words):
        replace(FEW, **changes)


def test_what_does_not_suit_the_run_is_refused_before_any_work(run: Path) -> None:
    with pytest.raises(UserError, match="images 91"):
        CertifyRun(run, replace(FEW, images=91))
    with pytest.raises(UserError, match=r"radii 0\.3: 200 samples certify at most radius 0\.136 "):
        CertifyRun(run, replace(FEW, norm="linf", radii=(0.3,)))
    with pytest.raises(UserError, match=r"shard 4 of 3"):
        CertifyRun(run, FEW).do(4)


def test_the_command_prints_one_json_object(command: Command, run: Path) -> None:
    words = ["certify", run, "--sigma", ".3,.6", "--samples", 100, "--images", 12, "--workers", 1, "--json"]
    assert command(*words, "--shard", "2/4").json == {"run": str(run), "missing": [1, 3, 4], "shards": 4}
    answer = command(*words)
    assert (answer.code, list(answer.json)) == (0, CERTIFY_KEYS)
    assert list(answer.json["by_sigma"]) == ["0.3", "0.6"]
    assert answer.json["sigma"] == 0.3
    assert answer.json["n"] == 12
    assert "not of the plain network" in answer.err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--sigma", ".25,"], "--sigma"),
        (["--sigma", "0"], "sigma 0"),
        (["--norm", "l9"], "norm 'l9'"),
        (["--samples", "5"], "give at least 10"),
        (["--images", "91"], "images 91"),
        (["--workers", "0", "--images", "3"], "workers 0"),
        (["--radii", "4"], "certify at most radius"),
    ],
    ids=str,
)
def test_the_command_refuses_in_a_line(command: Command, run: Path, words: list[str], message: str) -> None:
    command("certify", run, *words).refused(message)


@pytest.mark.timeout(200)
def test_a_worker_process_counts_the_same(run: Path) -> None:
    from sim.training.parallel.shards import _in_process

    job, running = CertifyRun(run, replace(FEW, images=5)), set()
    assert _in_process(job, 1, running) == ""
    elsewhere = job.rows(1)
    shutil.rmtree(job.folder)
    job.do(1)
    assert job.rows(1) == elsewhere
