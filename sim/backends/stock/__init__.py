"""The emulator of stock networks and of the chip's learning engine."""
