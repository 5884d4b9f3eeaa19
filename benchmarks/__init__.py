"""Questions with answers: one runnable module each, `python -m benchmarks.NAME`; results as JSON in `results/`."""
