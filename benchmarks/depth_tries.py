"""What each choice does to a network with several hidden layers, or with maps: one short training each.

One choice at a time changes from the defaults (`neuro.equilibrium.design.design_for`, `sim.training.tune`); only
validation images are read, and nothing is tuned for a variant. Run by `python -m benchmarks.depth --part tries`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from neuro.data.sets import Dataset, Split, split_validation
from neuro.equilibrium.design import design_for
from neuro.equilibrium.sigma_delta import build_equilibrium
from neuro.front_ends.pixels import PixelEncoder, gain_bits_for
from neuro.spec.layers import Layer, parse_layers
from sim.training.config import TrainConfig
from sim.training.recipe import make_trainer
from sim.training.trainer import Choices

TRIED_IMAGES, TRIED_VALIDATION = 10_000, 4_000
WIDTH, RATE, SHARE = 128, 2.0, 0.4  # of the tries and of kernels: hidden neurons, and `sim.training.trainer.Choices`
ONE, TWO = "conv:64x9:valid,pool:2", "conv:16x5,pool:2,conv:32x5,pool:2"
# name -> (changes of the design, of the choices, number of hidden layers or what they are)
TRIES: dict[str, tuple[dict[str, Any], dict[str, Any], int | str]] = {
    "default": ({}, {}, 2),
    "coupling gain 1 (Glorot)": ({"layer_gains": (1.0, 1.0)}, {}, 2),
    "coupling gain 1/2": ({"layer_gains": (1.0, 0.5)}, {}, 2),
    "coupling gain 1/8": ({"layer_gains": (1.0, 0.125)}, {}, 2),
    "output gain 1": ({"output_gain": 1.0}, {}, 2),
    "output gain 1/4": ({"output_gain": 0.25}, {}, 2),
    "output box 0..1": ({"output_box": (0.0, 1.0)}, {}, 2),
    "output box 0..1.5": ({"output_box": (0.0, 1.5)}, {}, 2),
    "nudge 1/2": ({"nudge_shift": 1}, {}, 2),
    "nudge 1/4": ({"nudge_shift": 2}, {}, 2),
    "payload unit 1/32": ({"activation_bits": 5}, {}, 2),
    "payload unit 1/32, nudge 1/2": ({"activation_bits": 5, "nudge_shift": 1}, {}, 2),
    "payload unit 1/64": ({"activation_bits": 6}, {}, 2),
    "20 + 10 + 10 steps": ({"free_steps": 20, "nudged_steps": 10}, {}, 2),
    "20 + 8 + 8 steps of 7/8": (
        {"free_steps": 20, "nudged_steps": 8, "step_multiplier": 7, "step_shift": 3}, {}, 2),
    "not centred": ({}, {"centred": False}, 2),
    "output share 1/8": ({}, {"output_share": 0.125}, 2),
    "learning rate 1.4": ({}, {"learning_rate": 1.4}, 2),
    "learning rate 2.8": ({}, {"learning_rate": 2.8}, 2),
    "learning rate 0.2, output share 1/8": ({}, {"learning_rate": 0.2, "output_share": 0.125}, 2),
    "as before: gain 1, nudge 1/4, rate 0.2, share 1/8, not centred": (
        {"layer_gains": (1.0, 1.0), "nudge_shift": 2},
        {"learning_rate": 0.2, "output_share": 0.125, "centred": False}, 2),
    "three layers": ({}, {}, 3),
    "three layers, 30 + 15 + 15 steps": ({"free_steps": 30, "nudged_steps": 15}, {}, 3),
    "three layers, output share 0.4": ({}, {"output_share": 0.4}, 3),
    "three layers, coupling gain 1 (Glorot)": ({"layer_gains": (1.0, 1.0, 1.0)}, {}, 3),
    "three layers, coupling gain 1/2": ({"layer_gains": (2.0, 0.5, 0.5)}, {}, 3),
    "three layers, first gain 1": ({"layer_gains": (1.0, 0.25, 0.25)}, {}, 3),
    "three layers, output gain 1/4": ({"output_gain": 0.25}, {}, 3),
    "three layers, output box 0..1.5": ({"output_box": (0.0, 1.5)}, {}, 3),
    "three layers, nudge 1/2": ({"nudge_shift": 1}, {}, 3),
    "three layers, payload unit 1/512": ({"activation_bits": 9, "state_bits": 18}, {}, 3),
    "three layers, learning rate 0.35": ({}, {"learning_rate": 0.35}, 3),
    "three layers, learning rate 1.4": ({}, {"learning_rate": 1.4}, 3),
    "maps": ({}, {}, ONE),
    "maps, kernels 7 x 7": ({}, {}, "conv:64x7,pool:2"),
    "maps, kernels 5 x 5": ({}, {}, "conv:64x5,pool:2"),
    "maps, nudge 1/4, output box -1..2": ({"nudge_shift": 2, "output_box": (-1.0, 2.0)}, {}, ONE),
    "maps, 10 + 4 + 4 steps of 7/8, payload unit 1/32": (
        {"free_steps": 10, "nudged_steps": 4, "step_multiplier": 7, "step_shift": 3, "activation_bits": 5,
         "state_bits": 16}, {}, ONE),
    "maps, output share 0.2": ({}, {"output_share": 0.2}, ONE),
    "maps of maps": ({}, {}, TWO),
    "maps of maps, nudge 1/2, output box 0..1.5": ({"nudge_shift": 1, "output_box": (0.0, 1.5)}, {}, TWO),
    "maps of maps, 60 + 24 + 24 steps": ({"free_steps": 60, "nudged_steps": 24}, {}, TWO),
    "maps of maps, payload unit 1/256": ({"activation_bits": 8, "state_bits": 20}, {}, TWO),
}  # fmt: skip


def attempt(dataset: Dataset, name: str, seed: int) -> dict[str, Any]:
    """Train one variant on TRIED_IMAGES images, one pass."""
    design_changes, choice_changes, layers = TRIES[name]
    hidden: tuple[Layer, ...] = parse_layers(layers) if isinstance(layers, str) else (WIDTH,) * layers
    split = split_validation(dataset.y_train, seed)
    generator = np.random.default_rng([seed, 0xDEE9])
    few = Split(
        np.sort(generator.permutation(split.train)[:TRIED_IMAGES]),
        np.sort(generator.permutation(split.validation)[:TRIED_VALIDATION]),
    )
    choices = Choices(RATE, SHARE if len(hidden) < 3 else SHARE / 2, centred=not isinstance(layers, str))
    choices = replace(choices, **choice_changes)
    images = dataset.x_train[few.train]
    encoder = PixelEncoder(gain_bits=gain_bits_for(images))
    encoder = encoder.centred_on(images) if choices.centred else encoder
    design = design_for(
        dataset.image_shape, dataset.n_classes, hidden, shadow_bits=8, encoder=encoder, **design_changes
    )
    config = TrainConfig(seed=seed, threads=1)
    trainer = make_trainer(dataset, config, choices, few, 1, build_equilibrium(design, seed))
    with trainer.session:
        trainer.run()
        record = trainer.session.run(trainer.data.payloads[trainer.data.split.validation])
    end = trainer.progress.history[-1]
    return {
        "try": name,
        "seed": seed,
        "val_accuracy": end.val_accuracy,
        "silent": float(record.settled.mean()),
        "spikes_per_inference": end.spikes_per_inference,
    }
