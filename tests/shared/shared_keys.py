"""The keys that commands print with --json: the contract for scripts."""

TRAIN_KEYS = ["run", "val_accuracy", "test_accuracy", "n_test", "train_cpu_s", "images_per_s", "spikes_per_inference"]
EVALUATE_KEYS = ["run", "backend", "accuracy", "n", "spikes_per_inference", "differences"]
CODER_KEYS = [
    "run", "objective_gap", "readout_accuracy", "spikes_per_image", "active", "converged", "images_per_s",
    "sparsity_threshold",
]  # fmt: skip
