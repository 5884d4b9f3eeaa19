"""Networks of other tools as runs: read, proved, evaluated, attacked, placed; what cannot be held is named."""

import numpy as np
import pytest
import torch

from benchmarks.tools.stranger import STEPS, counts, trained, trains_of, write_nir
from hardware.export.import_config import ImportConfig
from hardware.export.imported import import_nir
from neuro.artifact.run_folder import load_artifact
from neuro.base.errors import UserError
from neuro.data.sets import load_dataset
from sim.backends.stock.emulator import emulate

nir = pytest.importorskip("nir")
pytest.importorskip("nirtorch")
DT = 1e-4
CONFIG = ImportConfig(steps=STEPS + 2)  # two Denses take a step each


@pytest.fixture(scope="module")
def digits():
    return load_dataset("digits", 0)


@pytest.fixture(scope="module")
def stranger(digits, tmp_path_factory):
    """A network trained in snnTorch, its weights on a grid of 1/32, and its file as snnTorch exports it."""
    network = trained(digits.x_train[:600], digits.y_train[:600], 10, 3)
    for module in network:
        if hasattr(module, "weight"):
            module.weight.data = (module.weight.data * 32).round().clamp(-127, 127) / 32
    path = tmp_path_factory.mktemp("strangers") / "stranger.nir"
    write_nir(network, 64, path)
    return network, path


def test_a_network_of_snntorch_answers_alike_on_the_chips_integers(stranger, digits, tmp_path):
    network, path = stranger
    found = import_nir(path, "digits", tmp_path / "run", CONFIG)
    assert (found.exact, found.rounded, found.sizes, found.n) == (True, (), (64, 32, 10), 200)
    with torch.no_grad():
        theirs = counts(network, trains_of(digits.x_test[:200])).numpy()
    spec = load_artifact(tmp_path / "run").spec
    sent = emulate(spec.inference, spec.free_inputs(spec.encoder.encode(digits.x_test[:200]))).spikes
    ours = spec.scores(sent)
    assert (ours.argmax(axis=1) == theirs.argmax(axis=1)).all()
    assert np.abs(ours - theirs).sum() < 0.01 * theirs.sum()
    assert found.equal == 200
    assert found.test_accuracy > 0.7


@pytest.fixture
def imported(command, stranger, tmp_path):
    run = tmp_path / "run"
    found = command("import", stranger[1], "--data", "digits", "--steps", STEPS + 2, "--out", run, "--json").json
    assert (found["run"], found["exact"], found["equal"]) == (str(run), True, 200)
    return run


def test_it_is_evaluated_and_placed(command, imported):
    assert command("evaluate", imported, "--images", 50, "--json").json["n"] == 50
    assert all(p["stock"] for p in command("compile", imported, "--json").json["populations"])


@pytest.mark.slow
def test_it_is_attacked_priced_and_told_of(command, imported):
    """Slow: an attack of every kind, for what the shorter test holds."""
    attack = command("attack", imported, "--eps", 0.1, "--images", 4, "--json").json
    assert attack["verdict"] == "TOO FEW IMAGES TO JUDGE"
    brief = ("--images", 10, "--seconds", 0.01, "--devices", "loihi2", "--slayer", "none", "--json")
    assert command("bench", imported, *brief).json["rows"][0]["kind"] == "modelled"
    assert command("report", imported).code == 0
    assert "trained by another tool" in (imported / "report.html").read_text()


def test_where_rounding_matters_nothing_is_written(stranger, tmp_path):
    network, _ = stranger
    kept = network[0].weight.data.clone()
    network[0].weight.data += 0.004 * torch.randn(kept.shape, generator=torch.Generator().manual_seed(0))
    network[0].weight.data[0, 0] = 4.0  # what sets the step of all others
    try:
        write_nir(network, 64, tmp_path / "fine.nir")
    finally:
        network[0].weight.data = kept
    with pytest.raises(UserError, match=r"of 200 predictions agree, less than 99%: its rounding matters \(weights of"):
        import_nir(tmp_path / "fine.nir", "digits", tmp_path / "run", CONFIG)
    assert not (tmp_path / "run").exists()


def small():
    """The nodes of two layers, and what makes neurons like theirs."""

    def lif(size, **more):
        given = {"tau": np.full(size, 16 * DT), "r": np.full(size, 16.0), "v_leak": np.zeros(size),
                 "v_threshold": np.ones(size)}  # fmt: skip
        return nir.LIF(**{**given, **more})

    nodes = {
        "input": nir.Input({"input": np.array([64])}), "w1": nir.Linear(np.ones((5, 64))), "n1": lif(5),
        "w2": nir.Linear(np.ones((10, 5))), "n2": lif(10), "output": nir.Output({"output": np.array([10])}),
    }  # fmt: skip
    return nodes, lif


EDGES = [("input", "w1"), ("w1", "n1"), ("n1", "w2"), ("w2", "n2"), ("n2", "output")]
BAD = {
    "an unknown node": (lambda nodes, lif: {"n1": nir.Threshold(np.ones(5))}, EDGES, "node 'n1': Threshold cannot run"),
    "a loop": (lambda nodes, lif: {"w3": nir.Linear(np.ones((5, 10)))}, [*EDGES, ("n2", "w3"), ("w3", "n1")],
               "node 'n2' leads to output, w3: feedback or branches"),
    "a leak": (lambda nodes, lif: {"n1": lif(5, v_leak=np.ones(5))}, EDGES, "node 'n1': v_leak is not 0"),
    "two thresholds": (lambda nodes, lif: {"n1": lif(5, v_threshold=np.arange(1.0, 6))}, EDGES,
                       "node 'n1': v_threshold differs between neurons"),
    "a short time constant": (lambda nodes, lif: {"n2": lif(10, tau=np.full(10, DT / 2))}, EDGES,
                              r"node 'n2': dt / tau 2.0 outside .*give --dt"),
    "no neurons between": (lambda nodes, lif: {"n1": nir.Linear(np.ones((5, 5)))}, EDGES,
                           "node 'n1': Linear behind 'w1'"),
    "a later bias": (lambda nodes, lif: {"w2": nir.Affine(np.ones((10, 5)), np.ones(10))}, EDGES,
                     "node 'n2': synapses before it have a bias"),
    "no weights": (lambda nodes, lif: {"w1": nir.Linear(np.zeros((5, 64)))}, EDGES, "node 'w1': weights of shape"),
    "a huge threshold": (lambda nodes, lif: {"n2": lif(10, v_threshold=np.full(10, 1e6))}, EDGES,
                         "the chip holds 131071"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_what_the_chip_cannot_hold_is_named(case, tmp_path):
    change, edges, words = BAD[case]
    nodes, lif = small()
    nodes |= change(nodes, lif)
    path = tmp_path / "bad.nir"
    nir.write(str(path), nir.NIRGraph(nodes, edges, type_check=False))
    with pytest.raises(UserError, match=words) as error:
        import_nir(path, "digits", tmp_path / "run", CONFIG)
    assert "bad.nir" in str(error.value)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "run").exists()


def test_other_data_and_files_that_are_none_are_refused(tmp_path, stranger):
    with pytest.raises(UserError, match="it takes 64 inputs and has 10 outputs, iris has 4 pixels and 3 classes"):
        import_nir(stranger[1], "sklearn:iris", tmp_path / "run", CONFIG)
    (tmp_path / "none.nir").write_bytes(b"nothing")
    with pytest.raises(UserError, match=r"none\.nir.*no NIR file"):
        import_nir(tmp_path / "none.nir", "digits", tmp_path / "run", CONFIG)
    with pytest.raises(UserError, match="cannot read"):
        import_nir(tmp_path / "lost.nir", "digits", tmp_path / "run", CONFIG)
