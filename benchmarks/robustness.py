"""Are networks that settle more robust than others of the same shape? One table, and intervals that it stays within.

    python -m benchmarks.robustness [--data mnist] [--seeds 3] [--images 1000] [--models ep,perceptron,...]

Models, all with the same hidden layer: the EP network; a sparse coder (LCA) with an EP network behind it, and its
control, whose atoms do not compete (`benchmarks.without_competition`); a ReLU perceptron; the same relaxation trained
by backpropagation through time; a directly trained spiking network; a perceptron that imitates the fixed points of the
EP network; and the perceptron and the EP network again, trained on images as the network of the moment is attacked with
them, with size ADVERSARY.

An image counts as withstood if none of ATTACKS changes its label, at this size or a smaller one (what was found there
is allowed here, too); every attack is tried on the images that are left, so only the worst case is reported, not each
attack's own strength (`settle attack` does that, with a verdict). Settling networks are attacked on integer twins with
four kinds of gradients (unrolled in time, of the fixed point, leaking through saturated neurons, seen from below a
sparsity threshold) and along their own gradient, and scored on their integers. Where an inference takes more than
`stages.LONG` steps, ATTACKS follow the gradient of the fixed point, which costs a thirtieth of the unrolled one.
Transfer comes from the perceptron. The test set is read from its first image on.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure

from benchmarks.tools.results_file import earlier, of_data, parser, save, save_figure
from benchmarks.without_competition import train_without_competition
from neuro.artifact.run_folder import load_artifact
from neuro.base.arrays import Bools, Float32, Int64, Integers
from neuro.base.metrics import Accuracy
from neuro.data.sets import Dataset, load_dataset
from sim.backends.protocol import get_backend
from sim.coding.config import LcaConfig
from sim.coding.training import train_lca
from sim.robustness.attacks.gradient import ProjectedGradient
from sim.robustness.attacks.search import Attack, Model
from sim.robustness.attacks.suites import build_attacks
from sim.robustness.attacks.threats import Threat
from sim.robustness.attacks.transfer import Transfer
from sim.robustness.bridge.fixed_point_twin import FixedPointTwin
from sim.robustness.bridge.stages import main_twins
from sim.robustness.defences.adversarial import AdversarialTraining
from sim.robustness.defences.baselines import adversarial_recipe, real_images, train_baseline
from sim.screens.training import CoderScreen, TrainScreen
from sim.training.config import TrainConfig
from sim.training.equilibrium import train_ep
from sim.training.front_end import load_front_end
from sim.twins.base import Twin
from sim.twins.gradients import local_gradient
from sim.twins.make import make_twin

ATTACKS = "fgsm,pgd-40,apgd-dlr,apgd-ce,apgd-dlr-t,square-500"
OTHER_TWINS = {
    "leaky": ("pgd-20",), "fixed point": ("pgd-40", "apgd-dlr"), "straight-through": ("pgd-10",),
    "below thresholds": ("pgd-40", "apgd-dlr"),  # of networks that have some
}  # fmt: skip
ADVERSARY = 0.1  # linf size that adversarial training is for
ADVERSARY_STEPS, ADVERSARY_EPOCHS = 10, 8
EPS = (0.05, 0.1, 0.2, 0.3)
BATCH = 100


@dataclass(frozen=True, eq=False)
class Subject:
    """A network to attack: what gradients are taken on, what is scored, and attacks of its own."""

    model: Model
    score: Callable[[Float32], Integers]
    own: Mapping[str, Attack]


def deployed(folder: Path) -> Subject:
    """A finished run: its integer twin, its integers on `events`, its own gradient where it has one."""
    spec = load_artifact(folder).spec
    exact = make_twin(spec)
    both = main_twins(spec, exact)
    twins: dict[str, Model] = {"straight-through": exact, "fixed point": FixedPointTwin(spec), **both}
    main = next(iter(both))
    session = get_backend("events").open(spec, threads=1)
    own: dict[str, Attack] = {
        f"{attack} on the {name} twin": Transfer(twins[name], f"{name} twin", build_attacks(attack)[attack])
        for name, attacks in OTHER_TWINS.items() if name != main and name in twins for attack in attacks
    }  # fmt: skip
    if spec.is_symmetric:
        own["local-40"] = ProjectedGradient(40, gradient_fn=_local(exact), family="local")
    return Subject(twins[main], lambda images: session.run(spec.encoder.encode(images)).predictions, own)


def _local(twin: Twin) -> Callable[[torch.Tensor, torch.Tensor], torch.Tensor]:
    return lambda images, labels: local_gradient(twin, images, labels, 1.0)


def plain(model: torch.nn.Module) -> Subject:
    """A network of torch, attacked and scored as it is."""

    def score(images: Float32) -> Int64:
        with torch.no_grad():
            return model(torch.from_numpy(images)).argmax(1).numpy()

    return Subject(model, score, {})


def _finished(run: Path) -> bool:
    return (run / "manifest.json").is_file()


class Makers:
    """How each model is trained, in a folder, from a seed; what one needs of another is trained once."""

    def __init__(self, dataset: Dataset, hidden: int, seed: int, folder: Path) -> None:
        self.dataset, self.hidden, self.seed, self.folder = dataset, (hidden,), seed, folder
        self._perceptron: torch.nn.Module | None = None

    def _train_ep(self, name: str, dataset: Dataset, front: Path | None = None) -> Path:
        if not _finished(self.folder / name):
            config = TrainConfig(seed=self.seed, hidden=self.hidden, threads=1)
            with TrainScreen() as screen:
                train_ep(dataset, config, self.folder / name, screen, load_front_end(front, dataset) if front else None)
        return self.folder / name

    def ep(self) -> Subject:
        """The EP network."""
        return deployed(self._train_ep("ep", self.dataset))

    def _train_coder(self) -> Path:
        if not _finished(self.folder / "coder"):
            with CoderScreen() as screen:
                train_lca(self.dataset, LcaConfig(seed=self.seed, threads=1), self.folder / "coder", screen)
        return self.folder / "coder"

    def coder(self) -> Subject:
        """An EP network behind a sparse coder of whole images."""
        return deployed(self._train_ep("stack", self.dataset, self._train_coder()))

    def without_competition(self) -> Subject:
        """A perceptron behind the atoms of that coder and a threshold, which do not compete."""
        return plain(train_without_competition(self._train_coder(), self.dataset, self.hidden, self.seed))

    def perceptron(self) -> Subject:
        """A ReLU perceptron, trained once."""
        if self._perceptron is None:
            self._perceptron = train_baseline("perceptron", self.dataset, self.hidden, self.seed).model.eval()
        return plain(self._perceptron)

    def bptt(self) -> Subject:
        """The relaxation, trained by backpropagation through time."""
        return plain(train_baseline("bptt", self.dataset, self.hidden, self.seed).model.eval())

    def snn(self) -> Subject:
        """A spiking network trained through surrogate gradients."""
        return plain(train_baseline("snn", self.dataset, self.hidden, self.seed).model.eval())

    def distilled(self) -> Subject:
        """A perceptron that imitates the output states of the EP network."""
        spec = load_artifact(self._train_ep("ep", self.dataset)).spec
        with get_backend("events").open(spec, threads=1) as session:
            states = session.run(spec.encoder.encode(self.dataset.x_train)).output_states
        scores = states / make_twin(spec).unit
        return plain(train_baseline("distilled", self.dataset, self.hidden, self.seed, scores=scores).model.eval())

    def adversarial_perceptron(self) -> Subject:
        """A perceptron trained on its own adversarial images."""
        recipe = adversarial_recipe(Threat("linf", ADVERSARY), ADVERSARY_STEPS)
        return plain(train_baseline("perceptron", self.dataset, self.hidden, self.seed, recipe).model.eval())

    def adversarial_ep(self) -> Subject:
        """An EP network that learns every image as the network of the moment is attacked with it."""
        images, labels = real_images(self.dataset.x_train), torch.tensor(self.dataset.y_train).long()
        attack, threat = ProjectedGradient(ADVERSARY_STEPS), Threat("linf", ADVERSARY)
        config = TrainConfig(seed=self.seed, hidden=self.hidden, epochs=ADVERSARY_EPOCHS, threads=1)
        folder = self.folder / "adversarial ep"
        if not _finished(folder):
            with TrainScreen() as screen:
                adversary = AdversarialTraining(screen, images, labels, attack, threat, self.seed)
                train_ep(self.dataset, config, folder, adversary)
        return deployed(folder)


MODELS = {
    "ep": Makers.ep,
    "lca+ep": Makers.coder,
    "atoms without competition": Makers.without_competition,
    "perceptron": Makers.perceptron,
    "bptt": Makers.bptt,
    "snn": Makers.snn,
    "distilled": Makers.distilled,
    "adversarial perceptron": Makers.adversarial_perceptron,
    "adversarial ep": Makers.adversarial_ep,
}


def withstood(
    subject: Subject,
    attacks: Mapping[str, Attack],
    images: torch.Tensor,
    labels: torch.Tensor,
    threat: Threat,
    seed: int,
    alive: Bools,
) -> Bools:
    """The images of `alive`, a mask of shape [n], that keep their label under all attacks; each takes on what is left.

    images of shape [n, *shape]; labels of shape [n].
    """
    alive = alive.copy()
    for attack in {**attacks, **subject.own}.values():
        left = np.flatnonzero(alive)
        for start in range(0, len(left), BATCH):
            part = left[start : start + BATCH]
            found = attack(subject.model, images[part], labels[part], threat, seed + start)
            alive[part] = subject.score(found.images.detach().numpy()) == labels[part].numpy()
    return alive


def measure(subject: Subject, attacks: Mapping[str, Attack], dataset: Dataset, n: int, seed: int) -> dict[str, Any]:
    """Clean and robust accuracy of the first n test images."""
    images, labels = real_images(dataset.x_test[:n]), torch.tensor(dataset.y_test[:n]).long()
    alive = subject.score(images.numpy()) == labels.numpy()
    clean = Accuracy(int(alive.sum()), n)
    row: dict[str, Any] = {"n": n, "clean": clean.value, "clean_interval": list(clean.interval), "robust": {}}
    start = time.process_time()
    for eps in EPS:
        alive = withstood(subject, attacks, images, labels, Threat("linf", eps), seed, alive)
        found = Accuracy(int(alive.sum()), n)
        row["robust"][f"{eps:g}"] = {"accuracy": found.value, "interval": list(found.interval)}
    return {**row, "attack_cpu_s": time.process_time() - start}


def plot(path: Path, rows: Mapping[str, list[dict[str, Any]]], data: str) -> None:
    """Draw accuracy against eps: means and standard deviations over the seeds of every model."""
    figure = Figure(figsize=(8.0, 4.2), layout="constrained")
    axes = figure.subplots()
    for index, (name, seeds) in enumerate(rows.items()):
        curves = np.array([[row["clean"], *(cell["accuracy"] for cell in row["robust"].values())] for row in seeds])
        style = "--" if "adversarial" in name else "-"
        axes.errorbar([0.0, *EPS], curves.mean(axis=0), curves.std(axis=0), label=f"{name}, {len(seeds)} seeds",
                      color=f"C{index}", linestyle=style, marker="o", markersize=3.5, capsize=2)  # fmt: skip
    axes.set(xlabel="eps, largest change of a pixel (0..1)", ylabel=f"accuracy on {data}, worst of all attacks")
    axes.set_ylim(-0.02, 1.02)
    axes.legend(loc="best", frameon=False, fontsize=8)
    save_figure(figure, path)


def main() -> None:
    """Train, attack and save; rows that the file already holds for the same question are not measured again."""
    arguments = parser(__doc__ or "", "robustness", data="mnist", width=256, seeds=3)
    arguments.add_argument("--images", type=int, default=1000)
    arguments.add_argument("--models", default=",".join(MODELS))
    arguments.add_argument("--runs", type=Path, help="folder to keep trained networks in, and to take them from")
    options = arguments.parse_args()
    torch.set_num_threads(1)
    question = {
        "data": options.data, "hidden": options.width, "attacks": ATTACKS,
        "attacks_on_other_twins": {name: ",".join(attacks) for name, attacks in OTHER_TWINS.items()},
        "adversary_eps": ADVERSARY,
    }  # fmt: skip
    out = of_data(options.out, "robustness", options.data)
    rows = earlier(out, question, "rows")
    for seed in range(options.seeds):
        dataset = load_dataset(options.data, seed)
        with tempfile.TemporaryDirectory() as folder:
            kept = Path(folder) if options.runs is None else options.runs / f"seed{seed}"
            makers = Makers(dataset, options.width, seed, kept)
            sources = {"perceptron": makers.perceptron().model}
            for name in options.models.split(","):
                n = min(options.images, len(dataset.y_test))
                if any((row["seed"], row["n"]) == (seed, n) for row in rows.get(name, [])):
                    continue
                attacks = build_attacks(f"{ATTACKS},transfer", sources)
                row = {"seed": seed, **measure(MODELS[name](makers), attacks, dataset, n, seed)}
                rows[name] = [*(other for other in rows.get(name, []) if other["seed"] != seed), row]
                print(name, row, flush=True)
                save(out, {**question, "rows": rows})
    plot(out.with_suffix(".png"), rows, options.data)


if __name__ == "__main__":
    main()
