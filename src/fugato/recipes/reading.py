"""Pieces of a collection as sources for `fugato.read.read_many`, wherever they lie."""

from __future__ import annotations

import io

from fugato.corpus import Corpus, Piece
from fugato.corpus.corpus import MEMBER
from fugato.errors import FugatoError


class _Member(io.BytesIO):
    """A member of an archive in memory, under its name; one that cannot be unpacked says so when it is read."""

    def __init__(self, corpus: Corpus, piece: Piece) -> None:
        self.name = piece.path
        self._error: FugatoError | None = None
        try:
            super().__init__(corpus.open(piece))
        except FugatoError as error:
            self._error = error

    def read(self, size: int | None = -1, /) -> bytes:
        if self._error is not None:
            raise self._error
        return super().read(size)


def opened(corpus: Corpus, piece: Piece) -> str | io.BytesIO:
    """A path, or the bytes of a member of an archive."""
    return _Member(corpus, piece) if MEMBER in piece.path else piece.path
