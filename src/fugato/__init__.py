"""Fugato: who composed it, which genre it is, and new music in a composer's style.

The public names are loaded on first use (PEP 562), so that ``import fugato`` costs next to nothing::

    import fugato
    answer = fugato.identify("nocturne.mid")
    answer.name, answer.probability, answer.known
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from .answer import Answer
    from .compose import Composition, compose
    from .composer import Listener, compare, embed, identify, neighbours
    from .corpus import audit, load_corpus
    from .errors import FugatoError
    from .genre import genre
    from .models import load_model
    from .read import read, read_all
    from .score import Score
    from .study.plot import plot
    from .train import train
    from .write import write

__version__: Final = "0.1.0"

# Public name -> the module that defines it. Adding a public name means adding one line here and one above.
_WHERE: Final[dict[str, str]] = {
    "read": "fugato.read",
    "read_all": "fugato.read",
    "identify": "fugato.composer",
    "Listener": "fugato.composer",
    "embed": "fugato.composer",
    "compare": "fugato.composer",
    "neighbours": "fugato.composer",
    "compose": "fugato.compose",
    "Composition": "fugato.compose",
    "genre": "fugato.genre",
    "plot": "fugato.study.plot",
    "write": "fugato.write",
    "load_model": "fugato.models",
    "load_corpus": "fugato.corpus",
    "audit": "fugato.corpus",
    "train": "fugato.train",
    "Score": "fugato.score",
    "Answer": "fugato.answer",
    "FugatoError": "fugato.errors",
}

__all__ = [
    "__version__",
    "read",
    "read_all",
    "identify",
    "Listener",
    "embed",
    "compare",
    "neighbours",
    "compose",
    "Composition",
    "genre",
    "plot",
    "write",
    "load_model",
    "load_corpus",
    "audit",
    "train",
    "Score",
    "Answer",
    "FugatoError",
]


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module 'fugato' has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(_WHERE[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_WHERE})


class _House(ModuleType):
    """Keeps ``fugato.read`` the function, although importing the room ``fugato.read`` would put the module in its place."""

    def __setattr__(self, name: str, value: Any) -> None:
        if not (name in _WHERE and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _House
