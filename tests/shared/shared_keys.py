"""The keys that commands print with --json: the contract for scripts."""

COMPARE_KEYS = ["run", "n", "n_missing", "step", "regions"]
TRAIN_KEYS = ["run", "val_accuracy", "test_accuracy", "n_test", "train_cpu_s", "images_per_s", "spikes_per_inference"]
EVALUATE_KEYS = ["run", "backend", "accuracy", "n", "spikes_per_inference", "differences"]
ATTACK_KEYS = [
    "run",
    "n",
    "clean",
    "robust",
    "robust_interval",
    "by_attack",
    "zero_gradient_share",
    "fidelity",
    "grid",
    "smallest",
    "verdict",
    "reasons",
    "note",
    "checks",
]
CERTIFY_KEYS = [
    "run", "n", "sigma", "norm", "samples", "smoothed_accuracy", "abstained", "certified", "certified_interval",
    "largest_radius", "selection", "alpha", "seed", "by_sigma", "plain", "cost", "trained_noise", "classifier", "notes",
]  # fmt: skip
CODER_KEYS = [
    "run", "objective_gap", "readout_accuracy", "spikes_per_image", "active", "converged", "images_per_s",
    "sparsity_threshold",
]  # fmt: skip
PERTURB_KEYS = [
    "run", "set", "table", "n", "seed", "clean", "accuracy", "mean_accuracy", "mce", "relative_mce", "interval",
    "corruption_errors", "baseline", "identical", "notes",
]  # fmt: skip
ATLAS_KEYS = ["data", "seeds", "quick", "rows", "notes"]
ATLAS_ENTRY_KEYS = [
    "mechanism", "measure", "value", "interval", "n", "seeds", "kind", "command", "low", "high", "difference",
    "difference_interval", "against", "mark", "verdict", "reason", "by_seed",
]  # fmt: skip
