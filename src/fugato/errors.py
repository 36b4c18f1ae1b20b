"""The one exception class of the house and its kinds.

Every refusal that a user can meet is a ``FugatoError`` with a kind from `KINDS` and a message in a musician's words: what is
wrong, with which input, and what can be done. The command line prints the message, the API answers it, JSON Lines carry it.
"""

from __future__ import annotations

from typing import Any, Final

KINDS: Final[dict[str, str]] = {
    "not-music": "the bytes are no MIDI, MusicXML, kern or ABC",
    "empty": "there is nothing in it: no bytes, or no notes",
    "drums-only": "it has only unpitched percussion",
    "too-short": "too few notes or seconds to judge",
    "too-large": "over a limit on bytes, tracks, notes, expansion or memory",
    "corrupt": "the format is recognised, but the contents are damaged beyond mending",
    "unsupported": "a valid file of a kind that is not read",
    "not-audio": "the bytes are no recording that can be decoded",
    "silent": "the recording holds no sound",
    "no-model": "no model of that name or in that folder",
    "bad-model": "the model folder is damaged, foreign or of another version",
    "bad-data": "a data folder, archive or index that cannot be used",
    "bad-option": "an option with a value that makes no sense",
    "bad-output": "the answer cannot be written there",
    "busy": "the output or the server is in use",
    "timeout": "it took longer than the time allowed",
}


class FugatoError(Exception):
    """An input, option or model that cannot be used.

    Parameters
    ----------
    kind : str
        One of `KINDS`.
    message : str
        One or two sentences for the person who gave the input.
    input : str, optional
        The path or name of the input that the message is about.
    """

    def __init__(self, kind: str, message: str, input: str | None = None) -> None:
        if kind not in KINDS:
            raise ValueError(f"unknown error kind {kind!r}; the kinds are {', '.join(KINDS)}")
        super().__init__(message)
        self.kind = kind
        self.message = message
        self.input = input

    def __str__(self) -> str:
        return f"{self.input}: {self.message}" if self.input else self.message

    def __reduce__(self) -> tuple[Any, ...]:
        return FugatoError, (self.kind, self.message, self.input)

    def to_dict(self) -> dict[str, Any]:
        """The error as the contract's JSON object: ``{"input": …, "error": {"kind": …, "message": …}}``."""
        return {"input": self.input, "error": {"kind": self.kind, "message": self.message}}
