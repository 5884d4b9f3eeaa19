"""The board: limits, partition, compilation, energy and export for Loihi 2. Nothing here yet: networks run on
Lava's CPU backend (`sim.backends.lava`). This package may import `neuro` and `sim`, never the other way round.
"""
