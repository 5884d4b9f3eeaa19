"""What would run where: per population the process and whether Lava ships it, the host's part, the checks made."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import Any

from hardware.chip.blocks import KERNEL, SPARSE, Blocks, Deployable, SynapseBlock
from hardware.chip.families import of_kind
from hardware.chip.front_ends import NO_GENERATOR, front_notes, generator_program
from hardware.chip.microcode import Nudge, program, tally
from hardware.placement.placement import Placement
from neuro.base.shown import Lines, Shown
from neuro.coding.chain import PREFIX, Chain
from neuro.equilibrium.graded_relu import GradedNetwork
from neuro.spec.graph import Population
from neuro.spec.neurons import Generator, SigmaDelta, Source
from neuro.spec.parity import EVERY_STEP
from neuro.spec.schedule import CONSTANT, EVEN_ODD
from neuro.spec.sigma_delta import NetworkSpec
from neuro.stock.family import StockFamily
from neuro.stock.network import StockNetwork
from neuro.stock.processes import LIF, GradedRelu, StockPopulation, StockSpec

HOST = "RingBuffer behind PyToNxAdapter"
EVIDENCE = {
    "LIF": "public lava-dnf demos and EMSTDP run it on Loihi 2",
    "LIFReset": "public PilotNet benchmark of lava-dl runs it on Loihi 2",
    "GradedReluVec": "lava.frameworks.loihi2 lists its family as compatible; no public run of this one is known",
    HOST: "public lava-dl and NeuroBench scripts feed Loihi 2 this way",
}


@dataclass(frozen=True)
class PopulationPlan:
    """How a population runs. stock: whether Lava ships its process; if not, the micro-operations of one step."""

    name: str
    neurons: int
    process: str
    stock: bool
    evidence: str
    micro_operations: dict[str, int] = field(default_factory=dict)
    program: tuple[str, ...] = ()


@dataclass(frozen=True)
class Check:
    """Something that was looked at before any board is there. passed: None if it could not be looked at."""

    name: str
    passed: bool | None
    detail: str


@dataclass(frozen=True, eq=False, repr=False)
class Deployment(Shown):
    """A network ready for the door. target: constants set; notes: what a user has to know before the first run."""

    run: str
    target: str
    learns: bool
    placement: Placement
    populations: tuple[PopulationPlan, ...]
    host: tuple[str, ...]
    checks: tuple[Check, ...]
    notes: tuple[str, ...]

    @property
    def stock(self) -> bool:
        """Whether everything on the chip is a process that Lava ships."""
        return all(plan.stock for plan in self.populations)

    def lines(self) -> Lines:
        """See `Shown`: the facts; populations, resources, checks and notes are fields."""
        placement = self.placement
        load = f"{100 * placement.busiest_load:.1f} %, mean {100 * placement.mean_load:.1f} %"
        return [
            ("run", self.run),
            ("placed", f"{len(placement.cores)} cores on {placement.n_chips} chip(s), {self.target}"),
            ("against a lower bound", f"{placement.ratio:.2f} x {placement.lower_bound} cores"),
            ("busiest core", f"{load}; {100 * placement.greedy_load:.1f} % before it was relieved"),
            ("learning", "on the chip" if self.learns else "none, inference only"),
        ]

    def summary(self) -> dict[str, Any]:
        """The object that `settle compile --json` prints."""
        return {
            "chips": self.placement.n_chips,
            "cores": len(self.placement.cores),
            "fits": True,
            "populations": [{"name": plan.name, "stock": plan.stock} for plan in self.populations],
            "limits": self.placement.table(),
        }

    def to_json(self) -> dict[str, Any]:
        """The content of deployment.json."""
        placement = self.placement
        return {
            "run": self.run,
            "target": self.target,
            "run_configuration": "lava.magma.core.run_configs.Loihi2HwCfg",
            "learns": self.learns,
            **self.summary(),
            "populations": [asdict(plan) for plan in self.populations],
            "projections": [_synapses_to_json(block) for block in placement.blocks.synapses],
            "totals": placement.totals(),
            "cores_lower_bound": placement.lower_bound,
            "cores_ratio": placement.ratio,
            "load": {"busiest": placement.busiest_load, "greedy": placement.greedy_load, "mean": placement.mean_load},
            "host": list(self.host),
            "checks": [asdict(check) for check in self.checks],
            "notes": list(self.notes),
            "placement": placement.to_json(),
            "constants": {name: asdict(constant) for name, constant in placement.limits.table()},
        }


def _synapses_to_json(block: SynapseBlock) -> dict[str, Any]:
    process = {SPARSE: "Sparse", KERNEL: "Conv"}.get(block.kind, "LearningDense" if block.learns else "Dense")
    return {
        "name": block.name,
        "source": block.source,
        "target": block.target,
        "process": process,
        "stored": block.kind,
        "synapses": block.n_synapses,
        "weight_bits": block.bits,
        "learns": block.learns,
        "note": block.note,
    }


def plan_populations(network: Deployable, blocks: Blocks) -> tuple[PopulationPlan, ...]:
    """The plan of each population that is deployed."""
    plans: tuple[PopulationPlan, ...] = of_kind("plans", network)(network, blocks)
    return plans


def sigma_delta_plans(network: NetworkSpec, blocks: Blocks) -> tuple[PopulationPlan, ...]:
    """How each population of sigma-delta units runs."""
    return tuple(_plan(network, population) for population in network.populations)


def stock_plans(network: StockFamily | StockSpec, blocks: Blocks) -> tuple[PopulationPlan, ...]:
    """How each population of stock processes that is deployed runs."""
    deployed = {block.name for block in blocks.neurons}
    return tuple(_plan_stock(population) for population in network.populations if population.name in deployed)


def chain_plans(network: Chain, blocks: Blocks) -> tuple[PopulationPlan, ...]:
    """How each population of a coder and of the network behind it runs."""
    front = (replace(_plan_stock(p), name=PREFIX + p.name) for p in network.front.populations)
    return (*front, *sigma_delta_plans(network.back, blocks))


def _plan_stock(population: StockPopulation) -> PopulationPlan:
    neuron, process = population.neuron, HOST
    if isinstance(neuron, LIF):
        process = "LIFReset" if neuron.reset_interval else "LIF"
    elif isinstance(neuron, GradedRelu):
        process = "GradedReluVec"
    return PopulationPlan(population.name, population.size, process, True, EVIDENCE[process])


def _plan(spec: NetworkSpec, population: Population) -> PopulationPlan:
    neuron = population.neuron
    if isinstance(neuron, Generator):
        steps = generator_program()
        return PopulationPlan(population.name, population.size, "generator neuron (ours)", False, NO_GENERATOR,
                              tally(steps), tuple(map(str, steps)))  # fmt: skip
    if isinstance(neuron, Source):
        return PopulationPlan(population.name, population.size, HOST, True, EVIDENCE[HOST])
    schedule = spec.schedule
    nudged = population.name == spec.output and any(phase.nudge for phase in schedule.phases)
    nudge = Nudge(schedule.nudge_multiplier, schedule.nudge_shift, schedule.force == CONSTANT) if nudged else None
    steps = program(neuron, nudge, spec.parity[population.name] != EVERY_STEP)
    kind = "LCA unit" if neuron.threshold else "sigma-delta unit"
    evidence = f"needs microcode: Lava ships no {kind} of this form, and the assembler is not public"
    words = tuple(str(step) for step in steps)
    return PopulationPlan(population.name, population.size, f"{kind} (ours)", False, evidence, tally(steps), words)


def host_processes(blocks: Blocks, plans: tuple[PopulationPlan, ...], output: str) -> tuple[str, ...]:
    """The processes on the host and their joints to the chip, in words."""
    sends = [f"{b.name}: RingBuffer ({b.size}) -> PyToNxAdapter -> every projection of it" for b in blocks.on_host]
    sends += [f"{b.name}: the host sets {b.size} biases for each image" for b in blocks.neurons if b.biased]
    size = next((plan.neurons for plan in plans if plan.name == output), 0)
    return (*sends, f"{output}: NxToPyAdapter ({size}) -> RingBuffer: the answer")


def notes_of(network: Deployable, placement: Placement, learns: bool) -> tuple[str, ...]:
    """The notes that a user has to read before the first run on a board."""
    notes = [
        "nothing of this ran on a board: it is what public documents allow, not what a chip did",
        "Lava's compiler splits populations by halving and may take more cores than this placement",
    ]
    if placement.n_chips > 1:
        notes.append("Lava 0.10: channels of embedded processes do not span chips (mapper.py); one adapter per chip")
    notes += [f"projection {block.name}: {block.note}" for block in placement.blocks.synapses if block.note]
    more = of_kind("notes", network)
    return (*notes, *(more(network, learns) if more is not None else ()))


def sigma_delta_notes(network: NetworkSpec, learns: bool) -> list[str]:
    """What to know of sigma-delta units on a board."""
    notes = []
    if network.schedule.order == EVEN_ODD:
        notes.append(
            f"{network.free_steps} steps are an inference, as many as the slowest image may need; most fall silent "
            "earlier, and a host that reads the count of spikes may end them then"
        )
    if learns and network.plastic:
        notes.append(
            "learning: the rule multiplies graded payloads, which two-factor rules cannot (they see binary spikes);"
            " it needs a third factor from the neuron's microcode"
        )
    if network.encoder.fixed is not None:
        notes += front_notes(network.encoder.fixed)
    coder = any(isinstance(p.neuron, SigmaDelta) and p.neuron.threshold for p in network.populations)
    advice = "neuro.coding.graded_relu.sparse_coder" if coder else "train with --family stock"
    return [*notes, f"for a network of processes that Lava ships: {advice}"]


def chain_notes(network: Chain, learns: bool) -> list[str]:
    """What to know of a coder and a network behind it on a board."""
    code, source = PREFIX + network.front.output, network.back.input
    return [
        f"two graphs on one placement, run in turn: the host reads {code} after {network.front.free_steps} steps and "
        f"sends the codes as {source}",
        "the network behind learned before it was put there; compile a run of its own to place what learns",
    ]


def graded_notes(network: GradedNetwork, learns: bool) -> list[str]:
    """What to know of graded networks on a board."""
    return ["learning: by the host, from graded states that it reads; the chip only relaxes"]


def lif_notes(network: StockNetwork, learns: bool) -> list[str]:
    """What to know of LIF networks that learn on a board."""
    notes, schedule = [], network.schedule
    interval = schedule.steps if learns else schedule.free_steps
    if interval & (interval - 1):
        notes.append(
            f"LIFReset every {interval} steps: a public NeuroBench script says that the chip takes powers of two only"
        )
    fine = [p.name for p in network.plastic if p.sign_mode == "mixed" and p.lsb == 1] if learns else []
    if fine:
        notes.append(
            f"{', '.join(fine)}: learned in steps of 1, as Lava's simulator does; a chip is expected to store mixed "
            "signs in steps of 2: train with --weight-lsb 2"
        )
    return notes


def resource_rows(deployment: Deployment) -> list[tuple[str, ...]]:
    """Rows (resource, used, max, share) of the resource table."""
    return [
        (name.replace("_", " "), f"{used:,}", f"{most:,}", f"{100 * used / most:.1f} %")
        for name, (used, most) in deployment.placement.table().items()
    ]
