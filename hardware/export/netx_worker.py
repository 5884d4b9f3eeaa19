"""The process that runs a netx file in Lava: `python -m hardware.export.netx_worker FOLDER CALLER`."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from hardware.export.netx import FILE, JOB, SPIKES
from hardware.slayer.network import quiet
from neuro.base.arrays import Array
from neuro.base.files import parse_arrays, read_bytes
from sim.backends.lava.worker.main import count_done, run_worker_main
from sim.backends.lava.worker.watch import PROGRESS


def run_job(folder: Path) -> None:
    """Run the sequences of the job in `folder`, all in one graph or each in its own."""
    job = parse_arrays(read_bytes(folder / JOB), folder / JOB)
    inputs = job["inputs"]
    if bool(job["together"]):
        run_sequences(folder, 0, inputs, counted=True)
        return
    for index in range(len(inputs)):
        run_sequences(folder, index, inputs[index : index + 1], counted=False)
        count_done(folder, index + 1)


def run_sequences(folder: Path, group: int, inputs: Array, *, counted: bool) -> None:
    """Load the file, run sequences of shape [B, T, n] one after the other, leave the output spikes in a file."""
    with quiet():
        from lava.lib.dl.netx.hdf5 import Network
    from lava.magma.core.run_conditions import RunSteps
    from lava.magma.core.run_configs import Loihi2SimCfg
    from lava.proc.io.source import RingBuffer

    from sim.backends.lava.units.processes import Recorder

    batch, steps, n_inputs = inputs.shape
    network = Network(net_config=str(folder / FILE), reset_interval=steps if batch > 1 else None)
    source = RingBuffer(data=inputs.reshape(batch * steps, n_inputs).T.astype(np.int32))
    recorder = Recorder(
        size=network.out.shape[0],
        period=steps,
        n_images=batch,
        keep=(),
        path=str(folder / f"{SPIKES}-{group}.npz"),
        progress=str(folder / PROGRESS) if counted else "",
        name="output",
    )
    source.s_out.connect(network.inp)
    network.out.connect(recorder.s_in)
    try:
        recorder.run(condition=RunSteps(num_steps=batch * steps), run_cfg=Loihi2SimCfg(select_tag="fixed_pt"))
    finally:
        recorder.stop()


if __name__ == "__main__":
    run_worker_main(run_job)
