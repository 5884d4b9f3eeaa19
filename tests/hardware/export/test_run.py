"""`settle train slayer` and `settle export`: files are proved before they are written, and refusals say what to do."""

import importlib.util
import json
import shutil
from dataclasses import asdict

import numpy as np
import pytest
from shared_keys import TRAIN_KEYS

if importlib.util.find_spec("lava") is None:
    pytest.skip("needs lava-dl (Python 3.10)", allow_module_level=True)
pytest.importorskip("nirtorch")

from hardware.export import run as export
from hardware.slayer.config import SlayerConfig
from hardware.slayer.training import train_slayer_run
from neuro.artifact.nir_graph import read_nir
from neuro.artifact.run_folder import load_artifact
from neuro.base.files import sha256

pytestmark = pytest.mark.lava


@pytest.fixture(scope="module")
def trained(blob_data, tmp_path_factory):
    """A finished SLAYER run. Not to be written to: copy it."""
    folder = tmp_path_factory.mktemp("slayer") / "run"
    config = SlayerConfig(hidden=(8,), epochs=2, steps=16, learning_rate=0.003)
    train_slayer_run(blob_data, config, folder)
    return folder


@pytest.fixture
def run(trained, tmp_path):
    return shutil.copytree(trained, tmp_path / "run")


def test_training_is_a_command(command, blob_data, tmp_path):
    words = ["train", "slayer", "--data", blob_data.source, "--hidden", "6", "--epochs", "1", "--steps", "8"]
    answer = command(*words, "--out", tmp_path / "run", "--json")
    assert (answer.code, list(answer.json)) == (0, TRAIN_KEYS)
    assert answer.json["n_test"] == 90
    assert "SlayerConfig" not in answer.err
    found = command("evaluate", tmp_path / "run", "--check", "snntorch", "--images", 20, "--json").json
    assert found["backend"] == "chip"
    assert set(found["differences"].values()) == {0}
    command(*words, "--out", tmp_path / "run").refused("already finished")
    assert command("report", tmp_path / "run").code == 0
    assert "A baseline" in (tmp_path / "run" / "report.html").read_text()
    command(*words[:-1], "1").refused("slayer: steps 1 outside")


def test_netx_is_proved_in_lava_and_written_with_its_sidecar(command, run):
    answer = command("export", run, "--format", "netx", "--images", 6, "--json")
    found = answer.json
    assert (answer.code, found["n"], found["equal"], found["differing"], found["largest"]) == (0, 6, 6, 0, 0)
    assert found["spikes"] > 0
    assert found["correct"] == found["correct_reimported"]
    assert found["run"] == str(run)
    sidecar = json.loads((run / "network.net.json").read_text())
    assert sidecar["sha256"] == found["sha256"] == sha256((run / "network.net").read_bytes())
    assert sidecar["source"]["files"] == load_artifact(run).manifest["files"]
    assert sidecar["time"]["reset_interval"] == sidecar["input"]["steps"] == 16
    assert "equal predictions" in answer.err


def test_nir_is_proved_by_other_readers(command, finished_stock, run, tmp_path):
    for folder, name in ((finished_stock, "loop.nir"), (run, "chain.nir")):
        answer = command("export", folder, "--format", "nir", "--out", tmp_path / name, "--images", 40, "--json")
        assert (answer.code, answer.json["n"]) == (0, 40)
        assert answer.json["equal"] >= 39
        graph = read_nir((tmp_path / name).read_bytes(), name)
        assert any("delay" in node for node in graph.nodes) == (name == "loop.nir")
        assert (tmp_path / f"{name}.json").is_file()


def test_the_same_run_gives_the_same_bytes(run):
    for form, make in (
        ("netx", export.netx_bytes), ("nir", lambda graph: export.nir_bytes(export.to_nir(graph, "output")))
    ):  # fmt: skip
        graph = load_artifact(run).spec.inference
        assert sha256(make(graph)) == sha256(make(graph)), form


@pytest.mark.parametrize(
    ("form", "said"),
    [("netx", "settle train slayer"), ("nir", "--family stock")],
)
def test_sigma_delta_runs_are_refused_with_a_remedy(command, finished, form, said):
    command("export", finished, "--format", form).refused("sigma-delta", said)


def test_feedback_is_refused_by_netx_unless_left_out(command, finished_stock, monkeypatch, tmp_path):
    command("export", finished_stock, "--format", "netx").refused("leads back", "--format nir")
    seen = []

    def fake(path, inputs, stall_s, on_image, *, together):
        """Lava's part, tested elsewhere: here the integers that it would find."""
        seen.append((inputs, together))
        return export.emulate(graph, inputs).spikes["output"]

    graph = export.forward_part(load_artifact(finished_stock).spec.inference)
    monkeypatch.setattr(export, "run_netx", fake)
    words = ("export", finished_stock, "--format", "netx", "--forward-only", "--out", tmp_path / "a.net", "--json")
    found = command(*words).json
    assert found["forward_only"]
    assert 0 <= found["equal_to_run"] <= found["n"] == 90
    assert not seen[0][0][:, -2:].any()  # of an image, nothing is left for the next


@pytest.mark.parametrize("form", ["netx", "nir"])
def test_a_file_that_does_not_hold_up_is_not_written(command, run, monkeypatch, form):
    def silent(*_, **__):
        return np.zeros((90, 16 if form == "netx" else 14, 3), dtype=np.int32)

    if form == "netx":
        monkeypatch.setattr(export, "run_netx", silent)
    else:
        monkeypatch.setattr("sim.backends.snn.nir_reader.NirNetwork.run", silent)
    before = sorted(path.name for path in run.iterdir())
    command("export", run, "--format", form).refused("nothing was written")
    assert sorted(path.name for path in run.iterdir()) == before


def test_mistakes_are_told_in_a_line(command, run, tmp_path):
    command("export", run, "--format", "onnx").refused("onnx", "netx, nir")
    command("export", run, "--format", "nir", "--images", 91).refused("outside 1..90")
    command("export", tmp_path, "--format", "nir").refused("no manifest.json")


def test_an_agreement_counts_what_differs():
    found = export.Agreement(10, 9, 100, 3, 1, 8, 8)
    assert asdict(found)["equal"] == 9
    with pytest.raises(export.UserError, match="9 of 10 predictions"):
        export._check(found, "nir", "here")
