"""`settle --version`, and with `--verbose` what else decides a result."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

Version = Annotated[bool, typer.Option("--version", help="Print the version and exit; see --verbose.")]
Verbose = Annotated[
    bool, typer.Option("--verbose", help="With --version: Python, and the packages that decide a result.")
]


def version_command(context: typer.Context, version: Version = False, verbose: Verbose = False) -> None:
    """Energy-based spiking networks: train with local spike-driven rules, run as Lava graphs, prove them equal."""
    if version:
        sys.stdout.write("\n".join(version_lines(verbose)) + "\n")
        raise typer.Exit
    if context.invoked_subcommand is None:
        sys.stdout.write(context.get_help() + "\n")


def version_lines(verbose: bool) -> list[str]:
    """The version of settle; `verbose`: of Python and of every recorded package that is installed, too."""
    from neuro.artifact.run_folder import installed_versions

    versions = installed_versions()
    mine = versions.pop("settle", "not installed")
    return [f"settle {mine}", *(f"{name} {version}" for name, version in versions.items() if verbose)]
