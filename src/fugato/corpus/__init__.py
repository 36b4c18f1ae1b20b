"""Folders, index files and archives as a Corpus; composers' names; works; audit; splits.

The names are loaded on first use (PEP 562): whoever asks for a composer's spelling does not wait for the audit.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from fugato.corpus.audit import AuditReport, audit
    from fugato.corpus.corpus import Corpus, Piece, is_open, load_corpus, write_index
    from fugato.corpus.groups import work_groups
    from fugato.corpus.names import Composer, all_composers, canonical, composer_info
    from fugato.corpus.splits import Split, grouped_holdout, grouped_kfold, leave_one_source_out

__all__ = [
    "AuditReport",
    "Composer",
    "Corpus",
    "Piece",
    "Split",
    "all_composers",
    "audit",
    "canonical",
    "composer_info",
    "grouped_holdout",
    "grouped_kfold",
    "is_open",
    "leave_one_source_out",
    "load_corpus",
    "work_groups",
    "write_index",
]

# Public name -> the module of this room that defines it.
_WHERE: Final[dict[str, str]] = {
    "AuditReport": "audit",
    "audit": "audit",
    "Corpus": "corpus",
    "Piece": "corpus",
    "is_open": "corpus",
    "load_corpus": "corpus",
    "write_index": "corpus",
    "work_groups": "groups",
    "Composer": "names",
    "all_composers": "names",
    "canonical": "names",
    "composer_info": "names",
    "Split": "splits",
    "grouped_holdout": "splits",
    "grouped_kfold": "splits",
    "leave_one_source_out": "splits",
}


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f"{__name__}.{_WHERE[name]}"), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_WHERE})


class _Room(ModuleType):
    """Keeps ``fugato.corpus.audit`` the function, although importing its module would put the module in its place."""

    def __setattr__(self, name: str, value: Any) -> None:
        if not (name in _WHERE and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Room
