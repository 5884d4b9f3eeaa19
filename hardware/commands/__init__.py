"""The commands that need the chip: compile, export, demo."""
