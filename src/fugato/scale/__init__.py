"""Runs over many files: on the workers of a Dask cluster, from file systems of any kind, into JSON Lines or Parquet shards.

`places` says where files lie, `work` what a worker does with some of them, `cluster` hands them out and takes each answer once, `shards`
keeps answers so that a run goes on where it stopped, and `asking` puts it together. Files are parsed as everywhere, in processes that
a bad file can take down without harm. Dask and fsspec (the extra ``scale``) are loaded where they are needed alone.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from fugato.scale.asking import answers, featurise_shards, read_chunks
    from fugato.scale.places import find, is_remote, list_pieces
    from fugato.scale.shards import Entry, Shards, read_manifest

__all__ = [
    "Entry",
    "Shards",
    "answers",
    "featurise_shards",
    "find",
    "is_remote",
    "list_pieces",
    "read_chunks",
    "read_manifest",
]

_WHERE: Final[dict[str, str]] = {
    "Entry": "shards",
    "Shards": "shards",
    "read_manifest": "shards",
    "answers": "asking",
    "featurise_shards": "asking",
    "read_chunks": "asking",
    "find": "places",
    "is_remote": "places",
    "list_pieces": "places",
}


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f"{__name__}.{_WHERE[name]}"), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_WHERE})
