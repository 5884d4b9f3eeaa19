"""Every spike of one image, as a raster shows it."""

from __future__ import annotations

from dataclasses import dataclass

from neuro.base.arrays import Array, Int32
from neuro.spec.network import Network
from sim.backends.protocol import get_backend
from sim.backends.record import SpikeTable

Phases = tuple[tuple[str, int], ...]  # name and steps of each, in turn


@dataclass(frozen=True, eq=False)
class Raster:
    """The spikes of one image.

    where: by population to draw, its index in the table and its size.   prediction: the class that was read.
    """

    spikes: SpikeTable
    phases: Phases
    where: dict[str, tuple[int, int]]
    prediction: int


def watch_image(
    network: Network, image: Array, target: Int32 | None, phases: Phases, shown: tuple[str, ...], *, seed: int = 0,
    number: int = 0,
) -> Raster:  # fmt: skip
    """Run one image on the backend of its family and keep its spikes.

    Args: image of shape [...] as the data set holds it; target of shape [K], None for an inference only; shown: the
          populations to draw; seed and number of the image: for the sign of the nudge.
    """
    with get_backend(network.native_backend).open(network) as session:
        record = session.run(
            network.encoder.encode(image[None]), None if target is None else target[None], seed=seed,
            first_image=number, keep_spikes=True,
        )  # fmt: skip
    assert record.spikes is not None  # asked for
    index = {population.name: place for place, population in enumerate(network.populations)}
    where = {name: (index[name], network.population(name).size) for name in shown}
    return Raster(record.spikes, phases, where, int(record.predictions[0]))
