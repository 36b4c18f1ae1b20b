"""Scores as arrays: the normalised stream, its n-grams, the style space, the piano roll and its windows; sound as spectrograms.

The transformers for scikit-learn are loaded on first use (PEP 562).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fugato.represent.pianoroll import pianoroll
from fugato.represent.stream import Stream, stream

if TYPE_CHECKING:
    from fugato.represent.vectorizer import NgramVectorizer, StyleEmbedder

__all__ = ["Stream", "stream", "pianoroll", "NgramVectorizer", "StyleEmbedder"]


def __getattr__(name: str) -> Any:
    if name not in ("NgramVectorizer", "StyleEmbedder"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from fugato.represent import vectorizer

    return getattr(vectorizer, name)
