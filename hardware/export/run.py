"""Trained networks for other tools: netx (lava-dl) and NIR. A file is written only after what it holds has run.

The content is read back by the format's own reader and run on test images: netx by lava-dl's loader in Lava, NIR by
nirtorch and snnTorch. netx holds the same integers, so that every output spike must be equal. NIR holds real numbers
(`neuro.artifact.nir_graph`): a share of LEAST_AGREEMENT of the predictions must be, and what differs is said.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hardware.export.netx import STALL_S, forward_part, netx_bytes, netx_layers, run_netx
from neuro.artifact.nir_graph import DT, levels_of, nir_bytes, read_nir, to_nir
from neuro.artifact.nir_recurrent import LEVEL, to_recurrent_nir
from neuro.artifact.run_folder import Artifact, installed_versions
from neuro.base.arrays import Array, Int32, Int64, Integers
from neuro.base.checks import require_choice
from neuro.base.errors import UserError
from neuro.base.files import json_bytes, sha256, write_atomically
from neuro.base.metrics import accuracy
from neuro.base.scratch import scratch
from neuro.base.shown import Lines, Shown
from neuro.data.sets import require_test_images
from neuro.stock.family import LifNetwork
from neuro.stock.processes import StockSpec
from sim.backends.stock.emulator import emulate
from sim.evaluate import data_of, load_run

NETX, NIR = "netx", "nir"
DELAY, RECURRENT = "delay", "recurrent"
FEEDBACKS = {DELAY: "Delay nodes", RECURRENT: "one recurrent layer, which more readers know"}
WRITERS = {DELAY: to_nir, RECURRENT: to_recurrent_nir}
SUFFIXES = {NETX: ".net", NIR: ".nir"}
IMAGES = 200
LEAST_AGREEMENT = 0.99
RULES = "R1..R5, R7, deferred"
ENCODING = (
    "pixel i spikes at step t (from 1) where (start + p t) mod (spacing * one) < p; p = round(one * min(pixel * "
    "2**gain_bits, 1)), start = floor((i * 0x9E3779B1 mod 2**32) * spacing * one / 2**32); the last input, one more "
    "than there are pixels, is a bias unit of p = one; the answer is the output neuron of most spikes over all steps, "
    "the first of equals"
)
OnImage = Callable[[int], None]


@dataclass(frozen=True)
class Agreement:
    """How a re-imported network compares with the one that was exported, on the first n test images.

    equal: predictions that agree.       spikes, differing: of the output, sent; and that differ in some step.
    largest: difference of the spike count of any output neuron on any image.
    correct, correct_reimported: predictions that are right.
    """

    n: int
    equal: int
    spikes: int
    differing: int
    largest: int
    correct: int
    correct_reimported: int


@dataclass(frozen=True, repr=False)
class Export(Shown):
    """A written file. forward_only: feedback was left out; then equal_to_run: predictions shared with the run."""

    run: str
    format: str
    file: str
    sha256: str
    reader: str
    agreement: Agreement
    forward_only: bool = False
    equal_to_run: int | None = None

    def lines(self) -> Lines:
        """See `Shown`: what was written, and how it was proved."""
        proof = self.agreement
        rows = [
            ("file", self.file),
            ("read back by", self.reader),
            ("equal predictions", f"{proof.equal} of {proof.n}, measured"),
            ("output spikes", f"{proof.differing} of {proof.spikes:,} differ; counts by {proof.largest} at most"),
            ("right", f"{proof.correct} of {proof.n} exported, {proof.correct_reimported} read back"),
        ]
        if self.equal_to_run is not None:
            rows.append(
                ("without feedback", f"{self.equal_to_run} of {proof.n} predictions are those of the run itself")
            )
        return rows

    def to_json(self) -> dict[str, Any]:
        """The object that `settle export --json` prints."""
        content = asdict(self)
        return {**{key: content[key] for key in content if key != "agreement"}, **content["agreement"]}


def export_run(
    folder: Path, form: str, out: Path | None = None, n_images: int | None = None, *, forward_only: bool = False,
    stall_s: float = STALL_S, on_image: OnImage = lambda done: None, feedback: str = DELAY,
) -> Export:  # fmt: skip
    """Export a finished run, prove it by re-import, then write file and sidecar (file name + .json).

    Args:   form: netx or nir; out: default RUN/network.net or RUN/network.nir; n_images: test images to compare, by
            default IMAGES or as many as there are; forward_only: leave feedback out, which makes another network;
            feedback: of nir, DELAY or RECURRENT (`neuro.artifact.nir_recurrent`).
    Raises: UserError if the format cannot hold the network, a reader is missing, or the file does not hold up.
    """
    require_choice("format", form, SUFFIXES)
    require_choice("feedback", feedback, FEEDBACKS)
    if form == NETX and feedback != DELAY:
        raise UserError(f"export: feedback {feedback} is a form of nir, {form} has none; leave it out")
    artifact = load_run(folder)
    network = _exportable(artifact, form)
    graph = forward_part(network.inference) if forward_only else network.inference
    path = out or folder / f"network{SUFFIXES[form]}"
    if form == NETX:
        content = netx_bytes(graph)
    else:
        content = nir_bytes(WRITERS[feedback](graph, network.output))
    level = LEVEL if feedback == RECURRENT else levels_of(graph)[network.output]
    images, labels = _images(artifact, n_images)
    payloads = network.encoder.encode(images)
    with scratch("export") as drafts:
        draft = drafts / path.name
        write_atomically(draft, content)
        agreement, answers = prove(network, graph, draft, form, payloads, labels, stall_s, on_image, level)
    _check(agreement, form, folder)
    own = None
    if forward_only:
        sent = emulate(network.inference, network.free_inputs(payloads)).spikes
        own = int((network.scores(sent).argmax(axis=1) == answers).sum())
    write_atomically(path, content)
    export = Export(str(folder), form, str(path), sha256(content), READERS[form], agreement, forward_only, own)
    write_atomically(path.with_name(path.name + ".json"), json_bytes(_sidecar(artifact, network, graph, export, level)))
    return export


READERS = {
    NETX: "lava.lib.dl.netx.hdf5.Network in Lava's fixed-point models",
    NIR: "nirtorch, neurons of snnTorch (snntorch.import_nir), 32-bit floats",
}


def _exportable(artifact: Artifact, form: str) -> LifNetwork:
    """The network of a run if it is of spiking stock processes.

    Raises: UserError with the reason and the remedy.
    """
    network, owner = artifact.spec, f"export --format {form}"
    remedy = f"train with --family stock and a rule of the engine ({RULES}), or settle train slayer"
    if isinstance(network, LifNetwork):
        return network
    if network.family == "stock":
        raise UserError(f"{owner}: the run is a {network.title}: its messages carry payloads, and {form} has no graded "
                        f"neuron without memory; {remedy}")  # fmt: skip
    reason = {
        NETX: "netx's SDNN is another neuron (a ReLU without box or step), and has no feedback",
        NIR: "NIR's neurons send spikes without payloads, and none is a sigma-delta unit",
    }[form]
    raise UserError(f"{owner}: the run is of the sigma-delta family: {reason}; {remedy}")


def _images(artifact: Artifact, n_images: int | None) -> tuple[Array, Int32]:
    dataset = data_of(artifact)
    count = min(IMAGES, len(dataset.y_test)) if n_images is None else n_images
    require_test_images(dataset, count)
    return dataset.x_test[:count], dataset.y_test[:count]


def prove(
    network: LifNetwork, graph: StockSpec, path: Path, form: str, payloads: Integers,
    labels: Int32, stall_s: float = STALL_S, on_image: OnImage = lambda done: None, level: int | None = None,
) -> tuple[Agreement, Int64]:  # fmt: skip
    """Read the file at `path`, run it, and compare it with `graph` on the chip's integers; also return its predictions.

    graph: what was exported, with the inputs and the readout of `network`; level: steps that the output is earlier in
    the file, by default the projections between input and output.
    """
    inputs = np.array(network.free_inputs(payloads))
    delay = levels_of(graph)[network.output] if level is None else level
    if form == NETX:
        inputs[:, inputs.shape[1] - delay :] = 0  # what cannot reach the output would reach the next image
    ours = emulate(graph, inputs).spikes[network.output]
    theirs = np.zeros_like(ours)
    if form == NETX:
        together = all(layer.recurrent is None for layer in netx_layers(graph))
        found = run_netx(path, inputs, stall_s, on_image, together=together)
        theirs[:, delay:] = found[:, delay:]  # no input can have come through before
    else:
        from sim.backends.snn.nir_reader import NirNetwork

        opened = NirNetwork(read_nir(path.read_bytes(), path.name))
        theirs[:, delay:] = opened.run(inputs[:, : inputs.shape[1] - delay])
    first, second = (network.scores({network.output: spikes}) for spikes in (ours, theirs))
    answers, again = first.argmax(axis=1), second.argmax(axis=1)
    agreement = Agreement(
        n=len(labels),
        equal=int((answers == again).sum()),
        spikes=int(ours.sum()),
        differing=int(np.count_nonzero(ours != theirs)),
        largest=int(np.abs(first - second).max()),
        correct=accuracy(answers, labels).n_correct,
        correct_reimported=accuracy(again, labels).n_correct,
    )
    return agreement, again


def _check(found: Agreement, form: str, folder: Path) -> None:
    """Raise UserError if a file does not hold up."""
    if form == NETX and found.differing:
        raise UserError(f"run {folder}: read back from netx, {found.differing} of {found.spikes} output spikes differ "
                        f"on {found.n} images; nothing was written")  # fmt: skip
    if found.equal < LEAST_AGREEMENT * found.n:
        raise UserError(f"run {folder}: read back from {form}, {found.equal} of {found.n} predictions agree, less than "
                        f"{LEAST_AGREEMENT:.0%}: its rounding matters; nothing was written")  # fmt: skip


def _sidecar(artifact: Artifact, network: LifNetwork, graph: StockSpec, export: Export, level: int) -> dict[str, Any]:
    """The notes for a user of the file: where it comes from, how to drive it, how it was proved."""
    encoder, manifest = network.encoder, artifact.manifest
    return {
        "kind": "export",
        **export.to_json(),
        "measured": "agreement on the first n test images of the data the run was trained on",
        "source": {key: manifest[key] for key in ("seed", "config", "data", "files")},
        "versions": installed_versions(),
        "network": {
            "rule": network.rule,
            "populations": [{"name": p.name, "size": p.size} for p in graph.populations],
            "projections": [p.name for p in graph.projections],
        },
        "input": {
            "steps": network.free_steps,
            "spacing": network.spacing,
            "one": 1 << encoder.activation_bits,
            "gain_bits": encoder.gain_bits,
            "encoding": ENCODING,
        },
        "time": _time(network, export.format, level),
    }


def _time(network: LifNetwork, form: str, level: int) -> dict[str, Any]:
    """The relation of the file's steps to the run's."""
    if form == NETX:
        return {
            "reset_interval": network.free_steps,
            "note": f"load with reset_interval; the last {level} input steps of an image must be empty, and output "
            f"spikes of its first {level} steps belong to the image before",
        }
    return {
        "dt": DT,
        "note": f"starts from zero state; the output runs {level} steps earlier than on the chip, so that "
        f"{network.free_steps - level} steps are an inference; what decays lose by rounding is not in the file",
    }
