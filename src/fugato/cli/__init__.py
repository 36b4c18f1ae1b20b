"""The command line: one file a command group; it parses, calls and prints, and holds no logic of its own."""

from __future__ import annotations

__all__ = ["main"]


def main() -> None:
    """Run the ``fugato`` command and leave with its exit status: 0, 1, 2 or 130 (docs/contract.md)."""
    from .app import run

    run()
