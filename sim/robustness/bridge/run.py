"""The attack bridge: attack the twins of a finished run, score the deployed integers, judge the trust of the result.

The images are cut into shards. Every shard is a file of its own, written when it is done: an interruption loses one
shard, and several processes or machines can share the work (`settle attack RUN --shard i/n`).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from neuro.artifact.run_folder import Artifact
from neuro.base.arrays import Float32, Int32
from neuro.base.errors import UserError
from neuro.base.files import json_bytes, parse_arrays, read_bytes, sha256, write_atomically
from sim.backends.protocol import get_backend
from sim.evaluate import data_of, is_coder, load_run
from sim.robustness.analysis.subject import Analysis, Subject, analyse, scorer_of
from sim.robustness.attacks.decision import HopSkipJump, by_labels
from sim.robustness.attacks.events import smallest_event_changes
from sim.robustness.attacks.minimal import Smallest
from sim.robustness.attacks.search import Model
from sim.robustness.attacks.suites import MINIMAL, THOROUGH, members_of, suite_of
from sim.robustness.bridge.config import AttackConfig, averaged
from sim.robustness.bridge.examples import Examples, Found
from sim.robustness.bridge.grid import grid_of
from sim.robustness.bridge.minimal import FEW_STEPS, STEPS, smallest_changes, stage_of
from sim.robustness.bridge.result import AttackResult
from sim.robustness.bridge.stages import LONG, Stage, attack_stages, main_twins, scouts
from sim.robustness.bridge.units import own_units, resolved
from sim.robustness.defences.baselines import real_images
from sim.robustness.defences.same_shape import PERCEPTRON, perceptron_of
from sim.robustness.judging.scoring import ITERATES, evaluate_robustness
from sim.robustness.judging.shards import load_table, merge, save_table
from sim.robustness.judging.table import RobustnessTable, Scorer
from sim.robustness.judging.verdict import judge
from sim.twins.make import make_twin

SHARD_IMAGES = 100
ATTACKS = "attacks"  # folder within a run
RESULT = "attack.json"
TABLE = 5  # number of the form of tables: what shards of another one measured is not comparable
STATES = 1 << 23  # of neurons, images and steps that one gradient goes through
FEW_ITERATES = 4  # scored of every attack, where an inference is long


class AttackRun:
    """One attack on one run: its folder, its shards. against: runs for the transfer matrix of the report."""

    verb, work = "attack", f"{__name__}:do_request"

    def __init__(self, run: Path, config: AttackConfig, against: Sequence[Path] = ()) -> None:
        self.run = run
        self.artifact = load_classifier(run)
        self.against = {str(other): _same_data(load_classifier(other), self.artifact, other).spec for other in against}
        self.dataset = data_of(self.artifact)
        self.config = averaged(resolved(config, self.dataset), self.artifact.spec)
        self.n_images = self.config.images or 0
        if self.n_images > len(self.dataset.y_test):
            raise UserError(
                f"images {self.n_images}: the test set of {self.dataset.name} has {len(self.dataset.y_test)}"
            )
        self.folder = run / ATTACKS / self._key()

    def _key(self) -> str:
        return attack_key(asdict(self.config), self.artifact.manifest["files"]["weights.npz"])

    @property
    def scorer(self) -> str:
        """The backend that scores."""
        return self.config.score or self.artifact.spec.native_backend

    @property
    def n_shards(self) -> int:
        """Shards of SHARD_IMAGES images each, the last one smaller."""
        return -(-self.n_images // SHARD_IMAGES)

    def path(self, shard: int) -> Path:
        """File of a shard, counted from 1."""
        return self.folder / f"shard-{shard}-of-{self.n_shards}.npz"

    def missing(self) -> list[int]:
        """The shards, counted from 1, that are still to do."""
        return [shard for shard in range(1, self.n_shards + 1) if not self.path(shard).is_file()]

    def do(self, shard: int, progress: Callable[[str], None] | None = None) -> None:
        """Attack the images of one shard, counted from 1, and write its file."""
        torch.set_num_threads(1)  # small products: threads that wait for each other cost more than they give
        if not 1 <= shard <= self.n_shards:
            raise UserError(f"shard {shard} of {self.n_shards}: {self.n_images} images make {self.n_shards} shards")
        first = (shard - 1) * SHARD_IMAGES
        images = real_images(self.dataset.x_test[first : min(first + SHARD_IMAGES, self.n_images)])
        labels = self.dataset.y_test[first : first + len(images)]
        stages = attack_stages(
            self.artifact.spec,
            self.config.attacks,
            self.config.threats,
            {PERCEPTRON: self._source()},
            self.config.device,
        )
        examples = Examples(self._examples_path(), images) if shard == 1 else None
        found = Found(examples)
        with get_backend(self.scorer).open(self.artifact.spec) as session:
            scorer = scorer_of(self.artifact.spec, session)
            smallest = self._smallest(scorer, images, labels, progress)
            if self.config.norm in smallest:
                stages.append(stage_of(smallest[self.config.norm], self._usual(), self.config.threats))
            if self.config.attacks in THOROUGH and self._iterates():
                stages.append(self._by_labels(scorer, found))
            tables = [self._stage(stage, scorer, images, labels, first, progress, found) for stage in stages]
        if examples:
            examples.save()
        sizes = {norm: found.sizes for norm, found in smallest.items()}
        if smallest:
            truth = torch.as_tensor(labels, dtype=torch.int64)
            sizes |= smallest_event_changes(self.artifact.spec, images, truth, progress=progress)
        arrays = {kind: found.float().cpu().numpy() for kind, found in sizes.items()}
        save_table(self.path(shard), replace(together(tables), smallest=arrays))

    def _examples_path(self) -> Path:
        return self.folder / "examples.npz"

    def examples(self) -> dict[str, Float32]:
        """The "clean" images of the first shard and, by threat, those of the first gradient attack on them."""
        path = self._examples_path()
        kept = parse_arrays(read_bytes(path), path) if path.is_file() else {}
        return {name: images.astype(np.float32) for name, images in kept.items()}

    @property
    def on_gpu(self) -> bool:
        """Whether gradients are computed there."""
        return self.config.device != "cpu"

    def request(self, shard: int) -> dict[str, Any]:
        """What `do_request` needs to do a shard elsewhere."""
        return {"run": str(self.run.resolve()), "config": asdict(self.config), "shard": shard}

    def prepare(self) -> None:
        """Train what all shards share."""
        self._source()

    def _stage(
        self, stage: Stage, scorer: Scorer, images: torch.Tensor, labels: Int32, first: int,
        progress: Callable[[str], None] | None, found: Found,
    ) -> RobustnessTable:  # fmt: skip
        return evaluate_robustness(
            stage.models, scorer, stage.attacks, images, labels, stage.threats, (self.config.seed,),
            batch_size=SHARD_IMAGES, first_index=first, device=self.config.device, progress=progress,
            on_images=found.keep, n_passes=self.config.passes, iterates=self._iterates(),
            sizes_at_once=self._sizes_at_once(),
        )  # fmt: skip

    def _by_labels(self, scorer: Scorer, found: Found) -> Stage:
        """The attack that sees the labels of the deployed network alone, from what the others found."""

        def labels_of(images: torch.Tensor) -> torch.Tensor:
            return torch.as_tensor(scorer(images.cpu().numpy()), dtype=torch.int64, device=images.device)

        model = by_labels(labels_of, self.dataset.n_classes)
        walk = HopSkipJump(found.starts, steps=20 if self.artifact.spec.free_steps <= LONG else 6)
        return Stage({"deployed labels": model}, {"hop-skip-jump": walk}, self.config.threats)

    def _smallest(
        self, scorer: Scorer, images: torch.Tensor, labels: Int32, progress: Callable[[str], None] | None
    ) -> dict[str, Smallest]:
        """The smallest changes, by norm, if they are among the attacks, and the scorer repeats itself and is fast."""
        if MINIMAL not in members_of(self.config.attacks) or not self._iterates():
            return {}
        spec, place = self.artifact.spec, self.config.device
        exact = make_twin(spec, device=place)
        twins = {**main_twins(spec, exact, place), **scouts(spec, exact, place)}
        truth = torch.as_tensor(labels, dtype=torch.int64).to(place)
        steps = STEPS if spec.free_steps <= LONG else FEW_STEPS
        return smallest_changes(twins, scorer, images.to(place), truth, steps, progress)

    def _usual(self) -> tuple[str, Model]:
        twin = make_twin(self.artifact.spec, device=self.config.device)
        return twin.surrogate.name, twin

    def _sizes_at_once(self) -> int:
        """How many sizes share a batch: as many as fit into the memory that states of an inference may take."""
        spec = self.artifact.spec
        neurons = sum(population.size for population in spec.moving)
        return max(STATES // (SHARD_IMAGES * neurons * spec.free_steps), 1)

    def _iterates(self) -> int:
        """How many images on the way of an attack are scored, too: none where one takes long."""
        if self.scorer != self.artifact.spec.native_backend or self.config.passes > 1:
            return 0  # one of many answers of a stochastic network would be the worst one
        return ITERATES if self.artifact.spec.free_steps <= LONG else FEW_ITERATES

    def _source(self) -> Model:
        """A perceptron of the same shape, trained once for a run."""
        return perceptron_of(self.run, self.artifact, self.dataset).to(self.config.device)

    def analyse(self) -> Analysis:
        """Measure, on the images of the first shard, what the report shows beside accuracies."""
        torch.set_num_threads(1)
        examples = self.examples()
        labels = self.dataset.y_test[: len(examples.get("clean", ()))]
        models = {PERCEPTRON: self._source()}
        config = self.config
        return analyse(Subject(self.artifact.spec, examples, labels, config.threats, models, self.against, config.seed,
                               config.device))  # fmt: skip

    def result(self) -> AttackResult:
        """The result of all shards together. Raises: UserError if some are missing."""
        if self.missing():
            raise UserError(f"attack {self.folder}: shards {self.missing()} are missing; run them first")
        table = merge([load_table(self.path(shard)) for shard in range(1, self.n_shards + 1)])
        units = {threat: own_units(threat, self.dataset) for threat in self.config.threats}
        verdict = judge(table, suite=suite_of(self.config.attacks))
        images = real_images(self.dataset.x_test[: self.n_images]).numpy()
        grid = grid_of(self.artifact.spec.encoder, images, self.config.threats)
        result = AttackResult(str(self.run), self.config, table, verdict, self.folder, self.analyse(), units, grid)
        analysis = {"analysis": result.analysis.to_json()}
        content = {"config": asdict(self.config), **result.to_json(), **analysis, "table": table.to_json()}
        write_atomically(self.folder / RESULT, json.dumps(content, indent=1).encode() + b"\n")
        return result


def attack_key(config: Mapping[str, Any], weights: str) -> str:
    """Name of the folder of an attack: a function of what was asked, and of the SHA-256 of the weights."""
    asked = {key: value for key, value in config.items() if key != "eps_units"}  # sizes are always pixels here
    content = json_bytes({**asked, "weights": weights, "table": TABLE}, sort_keys=True)
    return f"{config['attacks'].replace(',', '+')[:40]}-{sha256(content)[:10]}"


def do_request(request: Mapping[str, Any]) -> None:
    """Do one shard, in another process or on another machine that sees the same files."""
    AttackRun(Path(request["run"]), AttackConfig(**request["config"])).do(request["shard"])


def load_classifier(run: Path) -> Artifact:
    """Read a run that can be attacked. Raises: UserError if it has no classes."""
    artifact = load_run(run)
    if is_coder(artifact):
        raise UserError(f"run {run}: a sparse coder has no classes to defend; attack a classifier behind it")
    return artifact


def _same_data(other: Artifact, artifact: Artifact, run: Path) -> Artifact:
    name = artifact.manifest["data"]["name"]
    if other.manifest["data"]["sha256"] != artifact.manifest["data"]["sha256"]:
        raise UserError(f"run {run}: its data or their split differ from {name}; give a run of the same data and seed")
    return other


def together(tables: list[RobustnessTable]) -> RobustnessTable:
    """One table of all outcomes of tables over the same images."""
    first = tables[0]
    agreement: Mapping[str, float] = {k: v for table in reversed(tables) for k, v in table.clean_agreement.items()}
    return RobustnessTable(
        first.labels, first.clean, {**first.clean_agreement, **agreement}, max(t.unrepeatable for t in tables),
        first.n_passes, first.n_classes, first.n_inputs, [o for table in tables for o in table.outcomes],
    )  # fmt: skip


def attack(run: Path, config: AttackConfig, progress: Callable[[int, int, str], None] | None = None) -> AttackResult:
    """Do all missing shards of an attack on a finished run, one after the other, and return the result.

    progress: told the shard, their number and what is being done.
    """
    job = AttackRun(run, config)
    for shard in job.missing():
        job.do(shard, partial(progress, shard, job.n_shards) if progress else None)
    return job.result()
