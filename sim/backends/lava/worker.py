"""The process that runs Lava: reads a job from a folder, runs it, leaves the records there.

`python -m sim.backends.lava.worker FOLDER`. A process of its own because a Lava run is many processes that may hang:
the backend can end them all, and nothing of Lava enters the user's program.
"""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

GRACE_S = 3


def end_with(parent: int) -> None:
    """End the whole process group when the program that started this worker is gone."""
    while os.getppid() == parent:
        time.sleep(0.5)
    group = os.getpgrp()
    # Some process may be deaf to SIGTERM while it starts; nobody of this group will be there to kill it then.
    subprocess.Popen(["sh", "-c", f"sleep {GRACE_S}; kill -KILL -- -{group} 2>/dev/null"], start_new_session=True)
    os.killpg(group, signal.SIGTERM)


def run_job(folder: Path) -> None:
    """Run the job in `folder`: build the graph, run all images in one go, always stop."""
    from lava.magma.core.run_conditions import RunSteps
    from lava.magma.core.run_configs import Loihi2SimCfg

    from sim.backends.lava.graph import build_graph
    from sim.backends.lava.jobs import load_job

    job = load_job(folder)
    output = next(p for p in build_graph(job, folder) if p.name == job.spec.output)
    try:
        steps = RunSteps(num_steps=job.period * len(job.payloads))
        output.run(condition=steps, run_cfg=Loihi2SimCfg(select_tag="fixed_pt"))
    finally:
        output.stop()


def main() -> None:
    """Entry point."""
    threading.Thread(target=end_with, args=(os.getppid(),), daemon=True).start()
    logging.disable(logging.WARNING)
    run_job(Path(sys.argv[1]))


if __name__ == "__main__":
    main()
