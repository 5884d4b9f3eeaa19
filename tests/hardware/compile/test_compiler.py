"""Deployments: what is stock and what is not, what is on disk, how fast, and the command."""

import importlib.util
import json
import os
import re
import shutil
import time
from pathlib import Path

import numpy as np
import pytest
from shared_pages import Page

from hardware.compile import dry_checks
from hardware.compile.compiler import compile_network, compile_run
from neuro.artifact.run_folder import load_artifact
from neuro.base.convolution import square
from neuro.base.errors import UserError
from neuro.coding.sigma_delta import CoderDesign, build_coder
from neuro.equilibrium.design import design_for
from neuro.equilibrium.graded_relu import GradedDesign, GradedNetwork, open_boxes
from neuro.equilibrium.lif import StockDesign, build_stock_network
from neuro.equilibrium.sigma_delta import build_equilibrium
from sim.backends.lava.stock.run import save_graph
from sim.backends.lava.worker.watch import run_worker
from sim.reports.page import write_report
from sim.reports.priced import prices_in

COMPILE_KEYS = ["chips", "cores", "fits", "populations", "limits"]
BAR_S = 10.0
has_lava = importlib.util.find_spec("lava") is not None


def passed(deployment):
    return {check.name: check.passed for check in deployment.checks}


@pytest.fixture
def stock_run(finished_stock: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(finished_stock, tmp_path / "stock"))


@pytest.fixture
def run(finished: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(finished, tmp_path / "run"))


@pytest.mark.timeout(120)
@pytest.mark.parametrize("name", ["plastic", "coder", "three chips"])
def test_large_networks_compile_in_seconds(name):
    if name == "coder":
        dictionary = np.random.default_rng(0).normal(size=(784, 1024))
        network = build_coder(CoderDesign((28, 28), 0.1), dictionary / np.linalg.norm(dictionary, axis=0))
    else:
        hidden = (512,) if name == "plastic" else (1800, 1800)
        network = build_equilibrium(design_for((28, 28), 10, hidden), 0)
    start = time.process_time() + sum(os.times()[2:4])  # of children, too: a worker builds the graph
    deployment = compile_network(network)
    assert time.process_time() + sum(os.times()[2:4]) - start < BAR_S
    assert deployment.placement.n_chips == (3 if name == "three chips" else 1)
    assert deployment.learns == (name != "coder")
    assert passed(deployment) == {"widths": True, "placement": True, "graph": True if has_lava else None}
    assert any("do not span chips" in note for note in deployment.notes) == (name == "three chips")


def test_sigma_delta_units_need_microcode_and_its_operations_are_listed():
    deployment = compile_network(build_equilibrium(design_for((4, 4), 3, (6,)), 0))
    stock = {plan.name: plan.stock for plan in deployment.populations}
    assert stock == {"input": True, "bias": True, "hidden1": False, "output": False}
    hidden, output = deployment.populations[2:]
    assert sum(hidden.micro_operations.values()) == len(hidden.program) == 12
    assert len(output.program) == len(hidden.program) + 4  # the nudge
    assert not deployment.stock
    assert any("third factor" in note for note in deployment.notes)


@pytest.mark.parametrize("rule", ["R1", "R5"])
def test_stock_networks_are_stock_throughout(rule):
    network = build_stock_network(StockDesign((4, 4), 3, (6,), rule=rule), 0)
    deployment = compile_network(network)
    assert deployment.stock
    assert {p.process for p in deployment.populations} >= {"LIFReset", "LIF"}
    projections = {p["name"]: p["process"] for p in deployment.to_json()["projections"]}
    assert [projections[p.name] for p in network.plastic] == ["LearningDense"] * len(network.plastic)
    assert any("powers of two" in note for note in deployment.notes) == (rule == "R5")
    still = compile_network(network, learns=False)
    assert {p.name for p in still.populations} == {"input", "hidden", "output"}
    assert not still.learns
    assert still.placement.table()["learning_state"][0] == 0


def test_graded_networks_store_their_self_synapses_sparsely():
    spec = open_boxes(build_equilibrium(design_for((4, 4), 3, (6,)), 0), 8.0)
    deployment = compile_network(GradedNetwork(spec, GradedDesign()))
    stored = {p["name"]: (p["process"], p["synapses"]) for p in deployment.to_json()["projections"]}
    assert stored["hidden1->hidden1"] == ("Sparse", 6)
    assert stored["input->hidden1"][0] == "Dense"
    assert deployment.stock


def test_kernels_are_shared_and_their_transposes_are_not():
    convolution = square((8, 8), 4, 2, False)
    atoms = np.random.default_rng(0).normal(size=(4, 4, 1, 5))
    atoms /= np.linalg.norm(atoms.reshape(-1, 5), axis=0)
    deployment = compile_network(build_coder(CoderDesign((8, 8), 0.1, convolution=convolution), atoms))
    stored = {p["name"]: (p["stored"], p["synapses"]) for p in deployment.to_json()["projections"]}
    assert stored["residual->code"] == ("kernel", 9 * 5 * 16)
    assert stored["code->residual"][0] == "sparse"
    assert stored["code->code"] == ("sparse", 9 * 5)  # each neuron onto itself
    assert any("transposed convolution" in note for note in deployment.notes)
    code = next(plan for plan in deployment.populations if plan.name == "code")
    assert code.process.startswith("LCA unit")
    assert len(code.program) > 12


def test_what_lava_refuses_is_one_line(monkeypatch):
    monkeypatch.setattr(dry_checks, "_built", lambda *arguments: {"refusal": "no such thing"})
    monkeypatch.setattr(dry_checks.importlib.util, "find_spec", lambda name: object())
    with pytest.raises(UserError, match="lava refuses the network: no such thing"):
        compile_network(build_equilibrium(design_for((4, 4), 3, (6,)), 0))


@pytest.mark.skipif(not has_lava, reason="Lava needs Python 3.10")
@pytest.mark.lava
def test_the_worker_leaves_a_refusal_of_lava_or_the_number_of_processes(tmp_path: Path):
    network = build_stock_network(StockDesign((4, 4), 3, (6,)), 0)
    silence = np.zeros((1, 1, network.graph.n_inputs), dtype=np.int32)
    save_graph(tmp_path, network.graph, silence, sparse=[])
    graph = json.loads((tmp_path / "graph.json").read_text())
    for rule, key in (("2*u7*x1", "processes"), ("x1", "refusal")):
        for projection in graph["projections"]:
            if "rule" in projection:
                projection["rule"]["dw"] = rule
        (tmp_path / "graph.json").write_text(json.dumps(graph))
        run_worker(dry_checks.WORKER, tmp_path, 1, "graph", 60, lambda done: None)
        assert list(json.loads((tmp_path / dry_checks.ANSWER).read_text())) == [key]


def test_without_lava_or_with_too_many_synapses_the_graph_is_not_checked(monkeypatch):
    network = build_equilibrium(design_for((4, 4), 3, (6,)), 0)
    monkeypatch.setattr(dry_checks, "LARGEST_BUILT", 10)
    if has_lava:
        assert passed(compile_network(network))["graph"] is None
    monkeypatch.setattr(dry_checks.importlib.util, "find_spec", lambda name: None)
    check = compile_network(network).checks[-1]
    assert check.passed is None
    assert "not installed" in check.detail


def test_deployment_json_holds_the_placement(run: Path):
    deployment = compile_run(run)
    content = json.loads((run / "deployment.json").read_text())
    assert content["totals"] == deployment.placement.totals()
    assert len(content["placement"]) == content["cores"] == len(deployment.placement.cores)
    assert content["run_configuration"].endswith("Loihi2HwCfg")
    assert sum(core["synapses"] for core in content["placement"]) == sum(p["synapses"] for p in content["projections"])
    assert all({"value", "mark", "source"} <= set(constant) for constant in content["constants"].values())
    assert not list(run.glob(".*tmp"))
    first = (run / "deployment.json").read_bytes()
    compile_run(run)
    assert (run / "deployment.json").read_bytes() == first


def test_compile_prints_one_json_object(command, run: Path):
    answer = command("compile", run, "--target", "loihi2", "--dry-run", "--json")
    content = answer.json
    assert (answer.code, list(content)) == (0, COMPILE_KEYS)
    assert content["fits"] is True
    assert (content["chips"], content["cores"]) == (1, 2)
    assert content["populations"][0] == {"name": "input", "stock": True}
    assert all(0 <= used <= most for used, most in content["limits"].values())
    assert (run / "deployment.json").is_file()
    for word in ("synaptic memory", "microcode", "dry run", "lower bound"):
        assert word in answer.err
    assert command("compile", run, "--chips", 3, "--json").json["limits"]["cores"] == [2, 360]
    brief = command("compile", run, "--constants", "loihi2-brief", "--inference-only", "--json").json["limits"]
    assert (brief["cores"][1], brief["learning_state"][0]) == (128, 0)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--target", "gpu"], ["target 'gpu'", "loihi2"]),
        (["--constants", "mine"], ["constants set 'mine'", "loihi2-lava, loihi2-brief"]),
        (["--chips", "0"], ["chips 0 outside 1..1152"]),
        (["--report", "--images", "0"], ["images 0 outside 1..90"]),
        (["--chips", "x"], []),
    ],
)
def test_bad_options_are_refused_in_one_line(options, words, command, run: Path):
    answer = command("compile", run, *options)
    assert answer.code == 2
    for word in words:
        assert word in answer.mistake


def test_a_folder_that_is_no_run_is_refused(command, tmp_path: Path):
    command("compile", tmp_path).refused("no manifest.json")


@pytest.mark.parametrize("family", ["run", "stock_run"])
def test_the_report_page_is_self_contained_and_says_what_is_modelled(family, command, request):
    folder = request.getfixturevalue(family)
    answer = command("compile", folder, "--report", "--images", 20, "--json")
    assert answer.code == 0
    assert "modelled" in answer.err
    page = Page(folder / "compile.html")
    assert page.tags.count("svg") == 4
    assert {"script", "link", "iframe", "object", "embed", "base"}.isdisjoint(page.tags)
    assert all(reference.startswith(("#", "data:")) for reference in page.references)
    assert not re.search(r"\b(nan|inf)\b", page.text, re.IGNORECASE)
    assert prices_in(folder, load_artifact(folder))["inference"].n_images == 20
    beside = Page(write_report([folder], folder / "report.html"))
    assert "energy of an inference, modelled" in beside.text
    assert "On a chip: energy" in beside.headings
    for word in ("Energy of an image", "modelled", "Davies", "mean of 20 test images", "No chip was involved"):
        assert word in page.text


@pytest.mark.skipif(not has_lava, reason="Lava needs Python 3.10")
@pytest.mark.lava
def test_evaluating_on_a_board_that_is_not_there_says_what_to_install(command, stock_run: Path, run: Path):
    command("evaluate", stock_run, "--backend", "loihi2").refused("lava-loihi", "INRC", "--backend lava")
    command("evaluate", run, "--backend", "loihi2").refused("runs no sigma-delta networks", "--family stock")


@pytest.mark.parametrize("form", ["spiking", "graded"])
def test_both_parts_of_a_chain_are_placed(form, chains):
    chain = load_artifact(chains[f"behind {form}"]).spec
    found = compile_network(chain)
    apart = [compile_network(part, learns=False) for part in (chain.front, chain.back)]
    assert len(found.placement.cores) == sum(len(part.placement.cores) for part in apart)
    assert [plan.stock for plan in found.populations] == [plan.stock for part in apart for plan in part.populations]
    assert [plan.name for plan in found.populations] == [p.name for p in chain.populations]
    assert not found.learns
    assert not found.stock
    assert all(check.passed is not False for check in found.checks)
    assert {"graph of the coder", "graph behind the coder"} <= {check.name for check in found.checks}
    assert any("the host reads front.code after 256 steps" in note for note in found.notes)
