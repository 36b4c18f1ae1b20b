"""The edge between the library and a shell: errors become one sentence on stderr and an exit status, only here.

0 all answered, 1 some inputs failed, 2 used wrongly, 130 interrupted (128 + SIGINT).
"""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable
from typing import Final, NoReturn, TypeVar

import typer

from ..errors import FugatoError

FAILED: Final = 1
USED_WRONGLY: Final = 2
INTERRUPTED: Final = 130
WRONG_USE: Final = {"no-model", "bad-model", "bad-option", "bad-output", "bad-data", "busy"}

Command = TypeVar("Command", bound=Callable[..., None])
_debug = False


def set_debug(on: bool) -> None:
    """Show tracebacks from now on (``--debug``)."""
    global _debug
    _debug = on


def message(text: str) -> None:
    """One line for the person, on stderr."""
    try:
        print(printable(text), file=sys.stderr, flush=True)
    except (OSError, ValueError):
        pass  # nobody is there to read it


def printable(text: str) -> str:
    """`text` without control characters and what cannot be encoded, since a file name can hold anything."""
    return "".join(c if c.isprintable() or c == "\n" else "\N{REPLACEMENT CHARACTER}" for c in text)


def at_the_edge(command: Command) -> Command:
    """Wrap a command so that whatever it raises ends as a sentence and an exit status."""

    @functools.wraps(command)
    def wrapped(*args: object, **kwargs: object) -> None:
        try:
            command(*args, **kwargs)
            sys.stdout.flush()
        except (typer.Exit, typer.Abort, SystemExit):
            raise
        except KeyboardInterrupt:
            _traceback()
            message("fugato: interrupted")
            raise typer.Exit(INTERRUPTED) from None
        except BrokenPipeError:
            _close_stdout()
        except FugatoError as error:
            _traceback()
            message(f"fugato: {error}")
            raise typer.Exit(USED_WRONGLY if error.kind in WRONG_USE else FAILED) from None
        except Exception as error:
            if _debug:
                raise
            reason = f"{type(error).__name__}: {error}".rstrip(": ")
            message(
                f"fugato: a fault of Fugato's own ({reason}). Run again with --debug to see where, and please report it."
            )
            raise typer.Exit(FAILED) from None

    return wrapped  # type: ignore[return-value]


def _traceback() -> None:
    if _debug:
        import traceback

        traceback.print_exc()


def _close_stdout() -> NoReturn:
    """The reader of a pipe has gone (``fugato … | head``): leave quietly, and keep Python from flushing at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    raise typer.Exit(0)
