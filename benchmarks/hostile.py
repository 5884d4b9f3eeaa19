"""Does an attack that is written for a network beat a TRUSTED (standard) figure, and by how much?

    python -m benchmarks.hostile [--data mnist] [--images 200] [--models ep,perceptron,...] [--runs FOLDER]

The networks of `benchmarks.robustness`, seed 0. Settling ones: `settle attack --attacks standard` on the run; those of
torch: the same attacks, checks and smallest changes on the network itself, without HopSkipJump. Beside it what
`benchmarks.tools.adaptive` leaves, from several starts on several stand-ins: it knows how the network is built. Rows
are kept one by one; one that is there for the same question is not measured again; those not done yet are named.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.robustness import MODELS, Makers, Subject
from benchmarks.tools.adaptive import stand_ins, withstood
from benchmarks.tools.results_file import earlier, of_data, parser, save
from neuro.artifact.run_folder import load_artifact
from neuro.base.arrays import Bools
from neuro.data.sets import Dataset, load_dataset
from sim.robustness.attacks.search import Model
from sim.robustness.attacks.suites import build_attacks
from sim.robustness.attacks.threats import Threat
from sim.robustness.bridge.config import AttackConfig
from sim.robustness.bridge.minimal import STEPS, smallest_changes, stage_of
from sim.robustness.bridge.run import attack, together
from sim.robustness.defences.baselines import real_images
from sim.robustness.judging.comparison import with_grey
from sim.robustness.judging.scoring import evaluate_robustness
from sim.robustness.judging.table import RobustnessTable, worst_case
from sim.robustness.judging.verdict import Verdict, judge

EPS = (0.05, 0.1)
SUITE = "standard"
FOLDERS = {"ep": "ep", "lca+ep": "stack", "adversarial ep": "adversarial ep"}  # of the networks that are runs
RESTARTS, ASCENT = 2, 60
WITHIN = 0.02
Answer = tuple[RobustnessTable, Verdict]


def of_run(folder: Path, n: int) -> Answer:
    """What `settle attack` says of a run."""
    result = attack(folder, AttackConfig(attacks=SUITE, eps=EPS, images=n))
    return result.table, result.verdict


def of_torch(subject: Subject, source: Model, images: torch.Tensor, labels: torch.Tensor) -> Answer:
    """What the suite says of a network of torch; source: of transferred images."""
    threats = tuple(Threat("linf", eps) for eps in EPS)
    grey = with_grey(threats, images[0].numel())
    attacks = build_attacks(SUITE, {"perceptron": source})
    smallest = smallest_changes({"itself": subject.model}, subject.score, images, labels, STEPS)
    stage = stage_of(smallest["linf"], ("itself", subject.model), threats)
    tables = [
        evaluate_robustness({"itself": subject.model}, subject.score, attacks, images, labels, threats),
        evaluate_robustness(stage.models, subject.score, stage.attacks, images, labels, threats),
        evaluate_robustness(
            {"itself": subject.model}, subject.score, build_attacks("fgsm,pgd-20"), images, labels, grey[len(threats) :]
        ),
    ]
    table = together(tables)
    return table, judge(table, suite=SUITE)


def adaptive(
    smooth: Mapping[str, Model], subject: Subject, images: torch.Tensor, labels: torch.Tensor, threat: Threat
) -> Bools:
    """Whether images withstand the ascents on all stand-ins, of shape [n]."""

    def right(moved: torch.Tensor) -> torch.Tensor:
        return torch.from_numpy(np.asarray(subject.score(moved.numpy()))) == labels

    left = [
        withstood(model, right, images, labels, threat, 100 * index + restart, ASCENT)
        for index, model in enumerate(smooth.values())
        for restart in range(RESTARTS)
    ]
    flags: Bools = torch.stack(left).all(0).numpy()
    return flags


def measure(name: str, makers: Makers, dataset: Dataset, n: int) -> dict[str, Any]:
    """A row: the verdict, its figures, what the attack written for the network leaves of the same images."""
    images, labels = real_images(dataset.x_test[:n]), torch.tensor(dataset.y_test[:n]).long()
    subject = MODELS[name](makers)
    began = time.process_time()
    if name in FOLDERS:
        folder = makers.folder / FOLDERS[name]
        smooth: Mapping[str, Model] = stand_ins(load_artifact(folder).spec)
        table, verdict = of_run(folder, n)
    else:
        smooth = {"itself": subject.model}
        table, verdict = of_torch(subject, makers.perceptron().model, images, labels)
    told_s, began = time.process_time() - began, time.process_time()
    row: dict[str, Any] = {"n": n, "clean": float(table.clean.mean()), "verdict": str(verdict),
                           "reasons": verdict.reasons, "eps": {}}  # fmt: skip
    for eps in EPS:
        threat = Threat("linf", eps)
        told, left = worst_case(table.select(threat)), adaptive(smooth, subject, images, labels, threat)
        assert told is not None  # it was attacked
        row["eps"][f"{eps:g}"] = {"told": float(told.mean()), "adaptive": float(left.mean()),
                                  "both": float((told & left).mean())}  # fmt: skip
    beaten = max(cell["told"] - cell["adaptive"] for cell in row["eps"].values())
    return {**row, "beaten_by": max(beaten, 0.0), "suite_cpu_s": told_s, "adaptive_cpu_s": time.process_time() - began}


def main() -> None:
    """Measure the rows that are missing and save each as it is done."""
    arguments = parser(__doc__ or "", "hostile", data="mnist", width=256)
    arguments.add_argument("--images", type=int, default=200)
    arguments.add_argument("--models", default=",".join(MODELS))
    arguments.add_argument("--runs", type=Path, help="folder to keep trained networks in, and to take them from")
    options = arguments.parse_args()
    torch.set_num_threads(1)
    question = {"data": options.data, "hidden": options.width, "images": options.images, "sizes": list(EPS),
                "suite": SUITE, "ascents": {"steps": ASCENT, "restarts": RESTARTS}, "within": WITHIN}  # fmt: skip
    out = of_data(options.out, "hostile", options.data)
    rows, dataset = earlier(out, question, "rows"), load_dataset(options.data, 0)
    n = min(options.images, len(dataset.y_test))
    with tempfile.TemporaryDirectory() as temporary:
        makers = Makers(dataset, options.width, 0, (options.runs or Path(temporary)) / "seed0")
        for name in options.models.split(","):
            if name not in rows:
                rows[name] = measure(name, makers, dataset, n)
                print(name, rows[name], flush=True)
                save(out, {**question, "rows": rows, "not_done": [other for other in MODELS if other not in rows]})


if __name__ == "__main__":
    main()
