"""The process that runs a sigma-delta network in Lava: `python -m sim.backends.lava.sigma_delta.worker FOLDER CALLER`.

Reads a job from the folder, runs it, leaves the records there.
"""

from __future__ import annotations

from pathlib import Path

from sim.backends.lava.worker.main import run_worker_main


def run_job(folder: Path) -> None:
    """Run the job in `folder`: build the graph, run all images in one go, always stop."""
    from lava.magma.core.run_conditions import RunSteps
    from lava.magma.core.run_configs import Loihi2SimCfg

    from sim.backends.lava.sigma_delta.graph import build_graph
    from sim.backends.lava.sigma_delta.jobs import load_job

    job = load_job(folder)
    output = next(p for p in build_graph(job, folder) if p.name == job.spec.output)
    try:
        steps = RunSteps(num_steps=job.period * len(job.payloads))
        output.run(condition=steps, run_cfg=Loihi2SimCfg(select_tag="fixed_pt"))
    finally:
        output.stop()


if __name__ == "__main__":
    run_worker_main(run_job)
