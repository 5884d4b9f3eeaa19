"""Report pages about networks behind stock coders."""

import shutil

import matplotlib.pyplot as plt
import pytest
from shared_pages import Page

from neuro.artifact.run_folder import load_artifact
from neuro.base.errors import UserError
from sim.reports.chain import ChainSubject
from sim.reports.page import write_report


def test_a_page_shows_facts_learning_and_errors(chains, tmp_path):
    folder = shutil.copytree(chains["behind graded"], tmp_path / "run")
    path = write_report([folder], tmp_path / "page.html")
    page, text = Page(path), path.read_text()
    for heading in ("Learning", "Receptive fields", "Confusion", "The network", "Provenance"):
        assert heading in page.headings
    results = load_artifact(folder).manifest["results"]
    assert f"{results['test']['n_correct'] / results['test']['n']:.4f}" in text
    assert f"{results['spikes_per_inference']:.1f}" in text
    assert "front.code" in text
    assert "hidden1" in text


def test_every_spike_of_an_image_is_drawn(chains, blob_data):
    artifact = load_artifact(chains["behind spiking"])
    subject = ChainSubject(artifact, artifact.spec, blob_data)
    raster = subject.raster(0)
    assert sum(steps for _, steps in raster.phases) == len(artifact.spec.phases())
    assert set(raster.where) == {"front.code", "hidden1", "output"}
    figure, axes = plt.subplots()
    subject.draw_raster(axes, 0)
    assert axes.has_data()
    plt.close(figure)
    with pytest.raises(UserError, match="see the page of its coder"):
        subject.draw_settling(axes)
