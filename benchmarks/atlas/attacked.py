"""The column of attacks: the suite quick on integer twins or on the network itself, with its verdict.

A cell has a figure only where the verdict is TRUSTED: what weak attacks leave would be no measure of the mechanism. A
row whose scores have no gradient, or change from call to call, is not attacked with less; its cell says so.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import nn

from benchmarks.atlas.cells import Cell, empty, packed
from benchmarks.atlas.subject import Subject, Training
from neuro.base.arrays import Float32, Integers
from sim.robustness.attacks.suites import build_attacks, suite_of
from sim.robustness.attacks.threats import Threat
from sim.robustness.bridge.config import AttackConfig
from sim.robustness.bridge.run import AttackRun, together
from sim.robustness.defences.baselines import real_images, train_baseline
from sim.robustness.judging.comparison import with_grey
from sim.robustness.judging.scoring import evaluate_robustness
from sim.robustness.judging.shards import load_table, merge
from sim.robustness.judging.table import RobustnessTable, worst_case
from sim.robustness.judging.verdict import Verdict, judge

SUITE, LARGE = "quick", "fgsm,pgd-20"  # LARGE: at a size at which every image can be grey
OTHER_SEED = 1_000_003  # of the perceptron that attacks on networks of torch are transferred from


def attacked(subject: Subject, training: Training, n: int) -> Cell:
    """The cell of the first n test images."""
    threat = Threat("linf", training.config.eps)
    if subject.module is not None:
        reason = not_attackable(subject.module, real_images(training.dataset.x_test[:2]))
        if reason:
            return empty(reason)
        table = _plain(subject.module, training, threat, n)
    else:
        table = _deployed(subject, training, n)
    verdict = judge(table, suite=suite_of(SUITE))
    right = worst_case(table.select(threat))
    assert right is not None
    if not verdict.trusted:
        return _untrusted(verdict, len(right))
    return Cell(
        "measured", float(right.mean()), n=len(right), right=packed(right), shape=right.shape, verdict=str(verdict)
    )


def _untrusted(verdict: Verdict, n: int) -> Cell:
    reason = f"{verdict}: {'; '.join(verdict.reasons)}"
    return Cell("measured", n=n, verdict=str(verdict), reason=" ".join(reason.split()))


def not_attackable(module: nn.Module, images: torch.Tensor) -> str:
    """Why the gradients of a network of torch cannot be followed; "" if they can."""
    pixels = images.clone().requires_grad_()
    try:
        scores = module(pixels)
        if not scores.requires_grad:
            return "cannot be attacked: its scores have no gradient"
        torch.autograd.backward(scores.sum())
    except (RuntimeError, TypeError, AttributeError) as error:
        return f"cannot be attacked: {type(error).__name__}: {error}"
    if pixels.grad is None or not bool(pixels.grad.abs().sum() > 0):
        return "cannot be attacked: the gradient of its scores is zero"
    return ""


def _deployed(subject: Subject, training: Training, n: int) -> RobustnessTable:
    """A finished run, as `settle attack` does it."""
    assert subject.run is not None
    config = AttackConfig(attacks=SUITE, eps=(training.config.eps,), images=n)
    job = AttackRun(subject.run, config)
    for shard in job.missing():
        job.do(shard)
    return merge([load_table(job.path(shard)) for shard in range(1, job.n_shards + 1)])


def _plain(module: nn.Module, training: Training, threat: Threat, n: int) -> RobustnessTable:
    """A network of torch: gradients are its own, and what is scored is itself."""
    torch.set_num_threads(1)
    dataset = training.dataset
    source = train_baseline("perceptron", dataset, training.hidden, training.seed + OTHER_SEED).model.eval()
    images, labels = real_images(dataset.x_test[:n]), dataset.y_test[:n]

    def score(shown: Float32) -> Integers:
        with torch.no_grad():
            classes: Integers = module(torch.as_tensor(shown)).argmax(1).numpy()
            return classes

    models: Mapping[str, nn.Module] = {"itself": module}
    attacks = build_attacks(SUITE, {"perceptron": source})
    tables = [evaluate_robustness(models, score, attacks, images, labels, (threat,), batch_size=100)]
    grey = with_grey((threat,), int(np.prod(dataset.image_shape)))[1:]
    if grey:
        tables.append(evaluate_robustness(models, score, build_attacks(LARGE), images, labels, grey, batch_size=100))
    return together(tables)
