"""`settle certify`."""

from __future__ import annotations

from sim.commands.from_config import options_of
from sim.commands.options import Json, Run, answer
from sim.commands.sharing import Shard, Slurm, Workers, complete
from sim.robustness.certified.config import CertifyConfig


@options_of(CertifyConfig)
def certify_command(
    run: Run,
    *,
    config: CertifyConfig,
    shard: Shard = None,
    workers: Workers = None,
    slurm: Slurm = None,
    as_json: Json = False,
) -> None:
    """Certify a run: lower bounds by randomised smoothing of the deployed integers.

    They hold for the smoothed classifier (the class that most noisy copies of an image get), not for the plain network.
    Interrupt it, give the command again, and it goes on. `settle train ep --noise SIGMA` trains for it.
    """
    from sim.face.certify import conclude, do
    from sim.robustness.certified.run import CertifyRun

    job = CertifyRun(run, config)
    if complete(job, run, lambda shards: do(job, shards, workers), shard, slurm, as_json):
        answer(conclude(job), as_json)
