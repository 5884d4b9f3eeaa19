"""The board: limits, placement, compilation and energy for Loihi 2, and the door to the chip itself.

Everything up to that door runs and is tested on any machine. May import `neuro` and `sim`, never the other way round.
"""
