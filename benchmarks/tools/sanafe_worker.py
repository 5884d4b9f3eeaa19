"""A program of its own, run by a Python that has SANA-FE (GPL-3): `python sanafe_worker.py JOB.npz ANSWER.json`.

It shares no code with Settle and is never imported by it: what it takes and gives are files. JOB.npz holds

    cores [G], sizes [G]      core and number of neurons of each group, in the order of neurons
    driven [G]                1 for groups whose neurons cost nothing: the host's spikes, on cores of their own
    spikes [T, N]             0 or 1, of all neurons
    synapses [S, 2]           source and target, by their numbers among all neurons

The spikes are replayed in SANA-FE's model of Loihi 1: the neurons are of its `input` model with the energies and times
of its LIF, so that they spike as recorded, and pay as it does; weights are 0. ANSWER.json: energy by part, J; time, s.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

import numpy as np
import sanafe
from sanafe import examples

REPLAY, MOST = "settle_replay", 1024
UNIT = """            - name: {name}[0..{last}]
              attributes:
                model: input
                energy_access_neuron: 51.2e-12
                latency_access_neuron: 6.0e-9
                energy_update_neuron: 21.6e-12
                latency_update_neuron: 3.7e-9
                energy_spike_out: 69.3e-12
                latency_spike_out: 30.0e-9
"""


def architecture(folder: Path) -> sanafe.Architecture:
    """SANA-FE's Loihi with one more list of neurons, which replay spikes at the price of its LIF."""
    text = (Path(examples.__file__).parent / "loihi.yaml").read_text(encoding="utf-8")
    place = text.index("          dendrite:\n")
    path = folder / "loihi_replay.yaml"
    path.write_text(text[:place] + UNIT.format(name=REPLAY, last=MOST - 1) + text[place:], encoding="utf-8")
    return sanafe.load_arch(path)


def network(job: dict[str, np.ndarray], cores: list[object]) -> sanafe.Network:
    """Neurons that spike as recorded, where they were placed, and their synapses."""
    net, neurons, used = sanafe.Network(), [], {}
    for index, (core, size, driven) in enumerate(zip(job["cores"], job["sizes"], job["driven"], strict=True)):
        group = net.create_neuron_group(f"g{index}", int(size))
        unit = "loihi_inputs" if driven else REPLAY
        for neuron in group:
            number = used[core] = used.get(core, -1) + 1
            train = job["spikes"][:, len(neurons)].astype(bool).tolist()
            neuron.set_attributes(soma_hw_name=f"{unit}[{number}]", model_attributes={"spikes": train})
            neurons.append(neuron)
        group.map_to_core(cores[int(core)])
    for source, target in job["synapses"]:
        neurons[source].connect_to_neuron(neurons[target], {"weight": 0.0})
    return net


def main() -> None:
    """Replay a job, write the answer."""
    with np.load(sys.argv[1]) as file:
        job = {name: file[name] for name in file.files}
    with tempfile.TemporaryDirectory() as folder:
        chip_of = architecture(Path(folder))
        chip = sanafe.SpikingChip(chip_of)
        chip.load(network(job, list(chip_of.cores())))
        found = chip.sim(len(job["spikes"]), timing_model=sys.argv[3] if len(sys.argv) > 3 else "detailed")
    answer = {"energy": dict(found["energy"]), "time_s": found["sim_time"], "spikes": found["spikes"]}
    Path(sys.argv[2]).write_text(json.dumps(answer), encoding="utf-8")


if __name__ == "__main__":
    main()
