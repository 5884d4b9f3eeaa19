"""The usual route to the chip as a contestant: a feed-forward network by SLAYER, trained here or a finished run.

It runs on the same backend as any stock network. Learning an image is a gradient step of lava-dl, unrolled over all
steps, on a network of its own with fresh weights: its products are dense and take as long whatever the weights.
"""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

from benchmarks.bench.config import AUTO
from benchmarks.bench.job import Job
from hardware.slayer.config import SlayerConfig
from hardware.slayer.network import check_lava_dl
from hardware.slayer.trainer import LEARNING_RATES, SlayerLearner, slayer_epochs
from hardware.slayer.training import train_slayer_run
from neuro.base.errors import UserError
from neuro.base.quantities import NotMeasurable
from sim.evaluate import data_of, load_run
from sim.robustness.defences.baselines import SMALL

BUDGET = 15  # epochs at most, when trained here: half of what `settle train slayer` takes on small data


def slayer_job(job: Job, asked: str) -> Job | NotMeasurable:
    """SLAYER's network for the task of `job`, or why there is none.

    asked: AUTO, trained here if the training set is small, BUDGET epochs at the first learning rate; or the folder of a
    finished run.
    Raises: UserError if that run is of another task, or none of SLAYER's.
    """
    if asked != AUTO:
        return _finished(job, Path(asked))
    shape = ",".join(map(str, job.hidden))
    if len(job.dataset.y_train) > SMALL:
        command = f"settle train slayer --data {job.manifest['data']['source']} --hidden {shape} --out RUN"
        return NotMeasurable(f"{len(job.dataset.y_train)} training images: train it ({command}) and give --slayer RUN")
    try:
        check_lava_dl()
        epochs = min(BUDGET, slayer_epochs(len(job.dataset.y_train)))
        config = SlayerConfig(seed=job.seed, hidden=job.hidden, epochs=epochs, learning_rate=LEARNING_RATES[0])
        artifact = train_slayer_run(data_of(job.artifact), config, None).artifact
    except UserError as error:
        return NotMeasurable(str(error))
    results = artifact.manifest["results"]
    job.trained["slayer"] = {"val": results["val"], "cpu_s": results["train_cpu_s"], **artifact.manifest["chosen"]}
    return Job(artifact, job.dataset, job.threads, "SLAYER, trained for this benchmark", job.constants, job.priced)


def _finished(job: Job, folder: Path) -> Job:
    """A finished run as a job."""
    other = Job(load_run(folder), job.dataset, job.threads, str(folder), job.constants, job.priced)
    remedy = "give a run of `settle train slayer` on the same data"
    if not other.by_slayer:
        raise UserError(f"--slayer {folder}: a run of kind {other.manifest.get('kind')!r}; {remedy}")
    for key, theirs, ours in (
        ("data", other.manifest["data"]["sha256"][:12], job.manifest["data"]["sha256"][:12]),
        ("hidden layers", other.hidden, job.hidden),
    ):
        if theirs != ours:
            raise UserError(f"--slayer {folder}: {key} {theirs}, but {ours} in run {job.run}; {remedy} and shape")
    return other


def config_of(job: Job) -> SlayerConfig:
    """The configuration with which SLAYER trained a run."""
    known = {field.name for field in fields(SlayerConfig)}
    kept = {key: value for key, value in job.manifest["config"].items() if key in known}
    return SlayerConfig(**{**kept, "hidden": job.hidden})


def learner_of(job: Job) -> SlayerLearner | NotMeasurable:
    """The learner that makes gradient steps of SLAYER, or why there is none."""
    try:
        return SlayerLearner(config_of(job), job.dataset, job.dataset.x_train)
    except UserError as error:
        return NotMeasurable(str(error))


def learning_note(job: Job) -> str:
    """Say what the training took."""
    data, results = job.manifest["data"], job.manifest["results"]
    epochs, cpu_s = job.manifest["chosen"]["epochs"], results["train_cpu_s"]
    images = epochs * (data["n_train"] - data["n_validation"])
    return f"trained by lava-dl in {epochs} epochs, {images:,} presentations, {cpu_s:.1f} s of CPU time"
