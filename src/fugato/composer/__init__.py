"""Who wrote this?"""

from __future__ import annotations

from fugato.composer.identify import identify, identify_many
from fugato.composer.listen import Listener
from fugato.composer.style import (
    Comparison,
    Neighbour,
    StyleCollection,
    compare,
    embed,
    embed_collection,
    embed_many,
    list_collection,
    neighbours,
)

__all__ = [
    "Listener",
    "identify",
    "identify_many",
    "Comparison",
    "Neighbour",
    "StyleCollection",
    "compare",
    "embed",
    "embed_collection",
    "embed_many",
    "list_collection",
    "neighbours",
]
