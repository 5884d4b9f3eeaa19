"""Compile a network for Loihi 2: place it, say what is stock and what is not, check all that can be checked here."""

from __future__ import annotations

from pathlib import Path

from hardware.blocks import Deployable, blocks_of
from hardware.deployment import Deployment, host_processes, notes_of, plan_populations
from hardware.dry_checks import dry_checks
from hardware.loihi2 import DEFAULT_LIMITS, check_target, limits_of
from hardware.partition import partition
from neuro.artifact import load_artifact
from neuro.files import json_bytes, write_atomically
from neuro.stock import StockSpec

DEPLOYMENT = "deployment.json"


def compile_network(
    network: Deployable,
    *,
    run: str = "",
    target: str = "loihi2",
    constants: str = DEFAULT_LIMITS,
    n_chips: int | None = None,
    learns: bool = True,
) -> Deployment:
    """Compile a network.

    Args:   constants, a name in `hardware.loihi2.LIMITS`; n_chips, None for as many as it takes; learns: with all that
            learning on the chip needs, or what classifies only.
    Raises: UserError if it does not fit (population, resource, by how much, remedy), or a name is unknown.
    """
    check_target(target)
    limits = limits_of(constants)
    blocks = blocks_of(network, limits, learns=learns)
    placement = partition(blocks, limits, n_chips)
    plans = plan_populations(network, blocks)
    output = blocks.on_chip[-1].name if isinstance(network, StockSpec) else network.output
    return Deployment(
        run=run,
        target=limits.name,
        learns=learns and any(block.learns for block in blocks.synapses),
        placement=placement,
        populations=plans,
        host=host_processes(blocks, plans, output),
        checks=dry_checks(network, placement, learns),
        notes=notes_of(network, placement, learns),
    )


def compile_run(
    folder: Path,
    *,
    target: str = "loihi2",
    constants: str = DEFAULT_LIMITS,
    n_chips: int | None = None,
    learns: bool = True,
) -> Deployment:
    """Compile a finished run and write `deployment.json` into its folder, whole or not at all."""
    check_target(target)
    limits_of(constants)
    network = load_artifact(folder).spec
    deployment = compile_network(
        network, run=str(folder), target=target, constants=constants, n_chips=n_chips, learns=learns
    )
    write_atomically(folder / DEPLOYMENT, json_bytes(deployment.to_json()))
    return deployment
