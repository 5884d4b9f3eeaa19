"""Compile a network for Loihi 2: place it, say what is stock and what is not, check all that can be checked here."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from hardware.board.detect import INSTALL, detect
from hardware.chip.blocks import Deployable, blocks_of, graph_of, is_stock
from hardware.chip.limits import DEFAULT_LIMITS, check_target, limits_of
from hardware.compile.deployment import Check, Deployment, host_processes, notes_of, plan_populations
from hardware.compile.dry_checks import dry_checks
from hardware.placement.partition import partition
from neuro.artifact.run_folder import load_artifact
from neuro.base.files import json_bytes, write_atomically
from neuro.stock.processes import StockSpec

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

    Args:   constants, a name in `hardware.chip.limits.LIMITS`; n_chips, None for as many as it takes; learns: with all
            that learning on the chip needs, or what classifies only.
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


def with_chip_compiler(network: Deployable, deployment: Deployment, *, dry_run: bool) -> Deployment:
    """Add what Lava's own compiler for the chip says, where the extension is installed and this is no dry run."""
    if dry_run:
        check = Check("chip compiler", None, "left out: dry run")
    elif not detect().extension:
        check = Check("chip compiler", None, f"not asked: {detect()}; {INSTALL}")
    elif not is_stock(network):
        check = Check("chip compiler", None, "not asked: the neurons need microcode")
    else:
        from hardware.board.backend import compile_on_board

        check = Check(
            "chip compiler",
            True,
            compile_on_board(graph_of(network, deployment.learns)),
        )
    return replace(deployment, checks=(*deployment.checks, check))


def compile_run(
    folder: Path,
    *,
    dry_run: bool = True,
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
    deployment = with_chip_compiler(network, deployment, dry_run=dry_run)
    write_atomically(folder / DEPLOYMENT, json_bytes(deployment.to_json()))
    return deployment
