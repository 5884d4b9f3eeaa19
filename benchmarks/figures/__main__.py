"""`python -m benchmarks.figures`: see `benchmarks.figures.derive`."""

from benchmarks.figures.derive import main

if __name__ == "__main__":
    main()
