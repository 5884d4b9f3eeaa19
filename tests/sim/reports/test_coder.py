"""Report pages about sparse coders, and about networks behind them."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from shared_coders import SMALL_CODER
from shared_pages import Page, check_page

from neuro.artifact.run_folder import load_artifact
from neuro.coding.sigma_delta import CODE
from neuro.data.sets import Dataset, load_dataset
from neuro.spec.sigma_delta import NetworkSpec
from sim.backends.protocol import get_backend
from sim.coding.measure import codes, integer_dictionary, lasso_codes, objective, threshold_of
from sim.coding.training import train_lca
from sim.evaluate import add_result, evaluate
from sim.reports.page import write_report
from sim.reports.probes.coder import (
    LoneCoder,
    atom_pictures,
    lone_coder,
    relative_error,
    show_examples,
    sweep_thresholds,
    use_of_atoms,
    watch_descent,
    with_threshold,
)
from sim.reports.probes.sigma_delta import watch_activity, watch_relaxation
from sim.reports.sigma_delta import fields

HEADINGS = [
    "Dictionary", "Images from their codes", "Learning", "Sparsity and reconstruction", "Settling", "Spikes per image",
    "One image settles", "Spikes per step", "Does another backend compute the same?", "The network", "Provenance",
]  # fmt: skip


def spec_of(folder: Path) -> NetworkSpec:
    spec = load_artifact(folder).spec
    assert isinstance(spec, NetworkSpec)
    return spec


@pytest.fixture(scope="module", params=["dense", "kernels", "second"])
def coder(request: pytest.FixtureRequest, coders: dict[str, Path]) -> LoneCoder:
    return lone_coder(spec_of(coders[request.param]))


def signals_of(coder: LoneCoder, dataset: Dataset, count: int = 30) -> np.ndarray:
    return np.asarray(coder.signals(dataset.x_test[:count]))


def test_a_lone_coder_codes_as_the_whole_network_does(coders: dict[str, Path], blob_data: Dataset) -> None:
    for name in ("dense", "kernels", "second"):
        spec = spec_of(coders[name])
        alone = lone_coder(spec)
        assert (alone.front is None) == (name != "second")
        with get_backend("events").open(spec, threads=1) as session:
            record = session.run(spec.encoder.encode(blob_data.x_test))
        neuron = spec.unit(spec.output)
        whole = neuron.activation(record.output_states) * 2.0**-neuron.activation_bits
        found = alone.codes(alone.signals(blob_data.x_test))
        if alone.front is None:
            np.testing.assert_array_equal(found, whole)
        assert np.abs(found - whole).mean() < 0.02 * np.abs(whole).max()  # the front end of the whole settles meanwhile


def test_units_stand_for_what_they_add_to_an_image(coder: LoneCoder, blob_data: Dataset) -> None:
    """Behind a front end: an image made from codes of the second coder is coded by the first as those codes say."""
    assert coder.images.shape == (16, coder.spec.population(CODE).size)
    if coder.front is None:
        np.testing.assert_array_equal(coder.images, integer_dictionary(coder.spec))
        return
    before = lone_coder(coder.front)
    payloads = coder.signals(blob_data.x_test[:40])
    first = payloads * 2.0 ** -coder.front.population(coder.front.output).neuron.activation_bits
    np.testing.assert_allclose(first, before.codes(before.signals(blob_data.x_test[:40])))
    second = coder.codes(payloads)
    wider = 2.0 ** (coder.spec.encoder.activation_bits - before.spec.population(CODE).neuron.activation_bits)
    np.testing.assert_allclose(second @ coder.images.T, wider * second @ coder.dictionary.T @ before.images.T)
    explained = second @ coder.dictionary.T * wider  # of the first codes
    assert np.linalg.norm(first - explained) < 0.7 * np.linalg.norm(first)


def test_a_sweep_measures_each_threshold(coder: LoneCoder, blob_data: Dataset) -> None:
    payloads = signals_of(coder, blob_data)
    sweep = sweep_thresholds(coder, payloads)
    assert (sweep.n, sweep.chosen) == (30, threshold_of(coder.spec))
    assert len(sweep.thresholds) >= 5
    assert sweep.chosen in sweep.thresholds
    assert (np.diff(sweep.thresholds) > 0).all()
    assert (np.diff(sweep.error) > 0).all()
    assert sweep.active[0] > sweep.active[-1]
    chosen = int(np.flatnonzero(sweep.thresholds == sweep.chosen)[0])
    found = codes(coder.spec, payloads, 1)
    assert sweep.active[chosen] == np.count_nonzero(found, axis=1).mean()
    signals = payloads * 2.0**-coder.spec.encoder.activation_bits
    left = np.square(signals - found @ integer_dictionary(coder.spec).T).sum(axis=1) / np.square(signals).sum(axis=1)
    assert sweep.error[chosen] == pytest.approx(left.mean())
    assert threshold_of(with_threshold(coder.spec, 2.0)) == pytest.approx(2 * sweep.chosen, rel=1e-4)


def test_the_error_of_nothing_is_none(coder: LoneCoder) -> None:
    nothing = np.zeros((2, coder.spec.n_inputs), np.int16)
    assert (relative_error(coder, nothing, coder.codes(nothing)) == 0).all()


def test_a_descent_is_what_shorter_schedules_end_with(coder: LoneCoder, blob_data: Dataset) -> None:
    payloads, steps = signals_of(coder, blob_data, 12), 128
    found = watch_descent(coder, payloads, steps)
    assert found.gap is not None
    assert found.gap.shape == found.error.shape == (12, len(found.steps))
    assert found.steps[-1] == 256
    assert steps in found.steps
    wanted = objective(coder.spec, payloads, lasso_codes(coder.spec, payloads))
    for index, end in enumerate(found.steps):
        if end in (4, 32, 128):
            phases = (replace(coder.spec.schedule.phases[0], steps=int(end)),)
            short = replace(coder.spec, schedule=replace(coder.spec.schedule, phases=phases))
            told = objective(short, payloads, codes(short, payloads, 1)) / wanted - 1
            np.testing.assert_allclose(found.gap[:, index], told, atol=1e-12)
    assert np.median(found.gap[:, -1]) < 0.05 < np.median(found.gap[:, 0])


def test_examples_are_the_images_and_what_the_atoms_add_up_to(
    coder: LoneCoder, coders: dict[str, Path], blob_data: Dataset
) -> None:
    whole = spec_of(coders["kernels"])  # all coders of these tests see the pixels through the same encoder
    shown = show_examples(coder, whole, blob_data)
    np.testing.assert_allclose(shown.images, blob_data.x_test[:8])
    assert shown.reconstructions.shape == shown.images.shape
    assert 0 <= shown.reconstructions.min() <= shown.reconstructions.max() <= 1
    assert (shown.active > 0).all()
    assert np.abs(shown.reconstructions - shown.images).mean() < 0.2
    if coder.front is None:
        payloads = coder.signals(blob_data.x_test[:8])
        np.testing.assert_allclose(shown.error, relative_error(coder, payloads, coder.codes(payloads)))


def test_pictures_of_atoms_are_the_atoms(coders: dict[str, Path]) -> None:
    dense, kernels = (lone_coder(spec_of(coders[name])) for name in ("dense", "kernels"))
    pictures = atom_pictures(dense, (4, 4))
    np.testing.assert_array_equal(pictures.reshape(6, 16).T, integer_dictionary(dense.spec))
    pictures = atom_pictures(kernels, (4, 4))
    assert pictures.shape == (4, 2, 2, 1)
    matrix = integer_dictionary(kernels.spec).reshape(4, 4, 4, 4)  # rows, columns, positions, atoms
    np.testing.assert_array_equal(pictures[..., 0].transpose(1, 2, 0), matrix[:2, :2, 0])
    second = lone_coder(spec_of(coders["second"]))
    pictures = atom_pictures(second, (4, 4))
    assert pictures.shape == (4, 4, 4)  # one position, which covers all
    np.testing.assert_allclose(pictures.reshape(4, 16).T, second.images)


def test_use_is_the_share_of_signals(coder: LoneCoder, blob_data: Dataset) -> None:
    payloads = signals_of(coder, blob_data)
    use, n_atoms = use_of_atoms(coder, payloads), coder.spec.population(CODE).shape[-1]
    assert use.shape == (n_atoms,)
    active = np.count_nonzero(codes(coder.spec, payloads, 1), axis=1).mean()
    assert use.sum() * coder.spec.population(CODE).size / n_atoms == pytest.approx(active)


def check_coder_page(page: Page, folder: Path) -> None:
    artifact = load_artifact(folder)
    results = artifact.manifest["results"]
    assert page.headings == [str(folder), *HEADINGS]
    assert page.tags.count("svg") == 9
    assert {"script", "link", "iframe"}.isdisjoint(page.tags)
    assert all(reference.startswith(("#", "data:")) for reference in page.references)
    for told in (f"{results['readout_accuracy']:.4f}", f"{results['spikes_per_image']:.1f}",
                 artifact.manifest["files"]["weights.npz"], artifact.manifest["data"]["sha256"]):  # fmt: skip
        assert told in page.text
    if results["lasso"] is not None:
        assert f"{100 * results['lasso']['gap']:.2f} %" in page.text
    assert not re.search(r"\b(nan|inf|None)\b", page.text)


@pytest.mark.parametrize("name", ["dense", "kernels", pytest.param("second", marks=pytest.mark.slow)])
def test_a_coder_has_a_page(name: str, coders: dict[str, Path], blob_data: Dataset, tmp_path: Path) -> None:
    run = Path(shutil.copytree(coders[name], tmp_path / "run"))
    if name != "dense":
        artifact, events = load_artifact(run), get_backend("events")
        add_result(run, artifact, evaluate(artifact, run, blob_data, events, 10, get_backend("reference")))
    page = Page(write_report([run], tmp_path / "page.html"))
    check_coder_page(page, run)
    assert ("Not checked yet" in page.text) == (name == "dense")
    assert ("equal: 10 images" in page.text) == ("no classes" in page.text) == (name != "dense")
    assert ("minus the transpose of" in page.text) == (name != "dense")
    assert ("codes the codes" in page.text) == (name == "second")
    if name == "kernels":
        write_report([run], tmp_path / "again.html")
        assert (tmp_path / "again.html").read_bytes() == (tmp_path / "page.html").read_bytes()


@pytest.mark.parametrize("options", [{"threshold_kind": "hard"}, {"signed": True, "layout": "residual"}], ids=str)
def test_every_kind_of_coder_has_a_page(
    options: dict[str, Any], blob_data: Dataset, silent: Any, tmp_path: Path
) -> None:
    train_lca(blob_data, replace(SMALL_CODER, **options), tmp_path / "run", silent())
    page = Page(write_report([tmp_path / "run"], tmp_path / "page.html"))
    check_coder_page(page, tmp_path / "run")
    assert ("has no LASSO solution" in page.text) == ("threshold_kind" in options)


@pytest.mark.slow
@pytest.mark.parametrize(("shape", "options"), [((12,), {"patch": 4}), ((4, 4, 3), {"patch": 2})], ids=str)
def test_any_images_have_a_page(
    shape: tuple[int, ...], options: dict[str, Any], blobs: Callable[..., Any], silent: Any, tmp_path: Path
) -> None:
    np.savez(tmp_path / "data.npz", **blobs(shape, 3, 120, 40))
    dataset = load_dataset(str(tmp_path / "data.npz"))
    train_lca(dataset, replace(SMALL_CODER, **options), tmp_path / "run", silent())
    check_coder_page(Page(write_report([tmp_path / "run"], tmp_path / "page.html")), tmp_path / "run")


@pytest.mark.parametrize("name", ["stack", "three"])
def test_a_network_behind_a_coder_has_the_usual_page(name: str, coders: dict[str, Path], tmp_path: Path) -> None:
    page = Page(write_report([coders[name]], tmp_path / "page.html"))
    check_page(page, [coders[name]])
    assert "Behind a sparse coder" in page.text
    assert "drawn in the image" in page.text
    assert "None" not in page.text


@pytest.mark.parametrize("name", ["stack", "three"])
def test_what_a_page_measures_behind_a_coder(name: str, coders: dict[str, Path], blob_data: Dataset) -> None:
    spec = spec_of(coders[name])
    found = watch_relaxation(spec, blob_data)
    steps = spec.schedule.phases[0].steps
    assert found.energy.shape == (90, steps)
    assert np.mean(found.energy[:, -1] < found.energy_at_rest) > 0.9
    assert found.energy[:, -1].mean() < found.energy[:, 0].mean()
    with get_backend("events").open(spec, threads=1) as session:
        predictions = session.run(spec.encoder.encode(blob_data.x_test)).predictions
    assert found.accuracy[-1] == np.mean(predictions == blob_data.y_test)
    activity = watch_activity(spec, blob_data, 3)
    assert set(activity.per_image) == {p.name for p in spec.moving}
    assert fields(spec).shape == (16, 8)


def test_what_is_watched_fits_in_memory(
    coders: dict[str, Path], blob_data: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = spec_of(coders["stack"])
    monkeypatch.setattr("sim.reports.probes.sigma_delta.MAX_SPIKES", 5_000)
    monkeypatch.setattr(
        "sim.reports.probes.sigma_delta.MAX_STATES",
        12 * spec.schedule.phases[0].steps * sum(p.size for p in spec.populations),
    )
    activity = watch_activity(spec, blob_data, 3)
    watched = len(activity.per_image["output"])
    assert 16 <= watched < 90
    assert len(watch_relaxation(spec, blob_data).energy) == 12


@pytest.mark.slow
def test_families_share_a_page(coders: dict[str, Path], finished: Path, tmp_path: Path) -> None:
    page = Page(write_report([coders["dense"], finished], tmp_path / "page.html"))
    assert page.source.count("<h2 ") == 3
    identifiers = set(re.findall(r'\bid="([^"]+)"', page.source))
    assert {reference[1:] for reference in page.references if reference.startswith("#")} <= identifiers
