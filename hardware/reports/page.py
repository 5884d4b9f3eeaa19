"""One self-contained HTML page about a compiled run: cores by load, spikes, energy bands, every constant's source."""

from __future__ import annotations

from pathlib import Path

from hardware.compile.deployment import resource_rows
from hardware.energy.profile import Profile
from hardware.reports import figures
from neuro.base.files import write_atomically
from sim.reports.document import document
from sim.reports.section import Box, Fact, Panel, Section, Table

REPORT = "compile.html"
LEAD = (
    "No chip was involved. Spikes are measured on the integers that are deployed; placement follows public limits; "
    "energy and latency are modelled, as bands between public constants of Loihi 1 and of Loihi 2, never as a single "
    "number."
)
CORES = (
    "Each square is a core, four of them a tile; colour: share used of its scarcest resource, frame: population. "
    "Placed by our own partition, within the limits below; Lava's compiler may cut otherwise."
)
ENERGY = (
    "Modelled. Low: every constant at its low end, all work of a core at once. High: every constant at its high end, "
    "work in sequence. Static power of whole chips, as it was measured. Host traffic is in neither."
)
CONSTANT = ("constant", "low", "high", "unit", "marks", "sources")
SENSITIVITY = "Modelled: each constant from its low to its high end, all others in the middle of their bands."


def write_compile_report(profile: Profile, path: Path) -> Path:
    """Write the page, whole or not at all."""
    section = Section("", "", _facts(profile), chip_panels(profile), chip_boxes(profile))
    title = f"{profile.deployment.run} on Loihi 2"
    write_atomically(path, document(title, LEAD, [section]).encode())
    return path


def _facts(profile: Profile) -> list[Fact]:
    placement, inference = profile.deployment.placement, profile.inference
    facts: list[Fact] = [
        (f"{len(placement.cores)} cores", f"on {placement.n_chips} chip(s); at least {placement.lower_bound} needed"),
        ("stock" if profile.deployment.stock else "microcode", "what the neurons need"),
        (str(inference.energy).removesuffix(" (modelled)"), "energy of an inference, modelled"),
        (str(inference.latency).removesuffix(" (modelled)"), "latency of an inference, modelled, without host traffic"),
    ]
    if profile.learning is not None:
        facts.append((str(profile.learning.energy).removesuffix(" (modelled)"), "energy of a learned image, modelled"))
    return facts


def chip_panels(profile: Profile) -> list[Panel]:
    """Cores by load, energy bands by what they are spent on, spikes by step, and what dominates."""
    estimates = {"inference": profile.inference}
    if profile.learning is not None:
        estimates["learning"] = profile.learning
    wide = profile.deployment.placement.n_chips > 1
    counted = f"Measured: mean of {profile.inference.n_images} test images."
    return [
        Panel("Cores by load", figures.core_map(profile.deployment.placement), CORES, wide=wide),
        Panel("Energy of an image", figures.energy_figure(estimates), ENERGY, wide=wide),
        Panel("Spikes per step", figures.spikes_by_step(profile.spikes_per_step), counted),
        Panel("Which constant dominates, inference", figures.sensitivity_bars(profile.sensitivity), SENSITIVITY),
    ]


def chip_boxes(profile: Profile) -> list[Box]:
    """Resources, populations, checks, notes, counted operations and every constant with its source."""
    deployment = profile.deployment
    counts = [("inference", profile.inference), ("learning", profile.learning)]
    rows = [
        (work, f"{name.replace('_', ' ')}", f"{value:,.1f}")
        for work, estimated in counts
        if estimated is not None
        for name, value in estimated.counts.items()
    ]
    plans = [(p.name, f"{p.neurons:,}", p.process, "yes" if p.stock else "no", p.evidence) for p in
             deployment.populations]  # fmt: skip
    checks = [(c.name, {True: "passed", False: "FAILED", None: "not checked"}[c.passed], c.detail) for c in
              deployment.checks]  # fmt: skip
    energies = [(name.replace("_", " "), f"{b.low:.3g}", f"{b.high:.3g}", b.unit, b.marks, "; ".join(b.sources))
                for name, b in profile.bands.items()]  # fmt: skip
    limits = [(name.replace("_", " "), f"{c.value:,} {c.unit}", c.mark, c.source) for name, c in
              deployment.placement.limits.table()]  # fmt: skip
    marks = (
        "P: public document, read there. S: read in Lava's source. Q: quoted second-hand. I: inferred. M: measured by "
        "whoever wrote the file of constants."
    )
    return [
        Box("Resources", [Table(("resource", "used by the fullest core", "max", "share"), resource_rows(deployment))]),
        Box("Populations", [Table(("population", "neurons", "process", "stock", "evidence"), plans)]),
        Box("Checked without a board", [Table(("check", "result", "detail"), checks)]),
        Box("Notes", [Table(("",), [(note,) for note in deployment.notes])]),
        Box("Operations per image", [Table(("work", "operation", "mean, counted"), rows)]),
        Box("Limits", [Table(("limit", "value", "mark", "source"), limits, marks)]),
        Box(
            "Energy and time constants",
            [Table(("constant", "low", "high", "unit", "marks", "sources"), energies, marks)],
        ),
    ]
