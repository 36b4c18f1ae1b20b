"""Keys as people write them, and as tokens hold them: 1 + tonic for major, 13 + tonic for minor, 0 for unknown."""

from __future__ import annotations

from typing import Final

from fugato.errors import FugatoError

NAMES: Final = ("C", "C#", "D", "E-", "E", "F", "F#", "G", "A-", "A", "B-", "B")
_STEPS: Final = {"c": 0, "d": 2, "e": 4, "f": 5, "g": 7, "a": 9, "b": 11}


def parse_key(text: str) -> int:
    """1 + tonic for major, 13 + tonic for minor, of "C", "f#", "B- major", "E flat minor"; a small letter alone is minor.

    Raises
    ------
    FugatoError
        ``bad-option``.
    """
    words = text.strip().replace("♯", "#").replace("♭", "-").replace(" flat", "-").replace(" sharp", "#").split()
    if words:
        name, mode = words[0], words[1].lower() if len(words) > 1 else "minor" if words[0][0].islower() else "major"
        step, sign = name[0].lower(), name[1:].replace("b", "-")
        if step in _STEPS and mode in {"major", "minor"} and sign in {"", "#", "-"} and len(words) <= 2:
            return 1 + (_STEPS[step] + {"": 0, "#": 1, "-": -1}[sign]) % 12 + 12 * (mode == "minor")
    raise FugatoError("bad-option", f"{text!r} is no key; write it as C, F# major, B- or a minor.")


def key_name(key: int) -> str | None:
    """ "G major"; None for an unknown one."""
    return f"{NAMES[(key - 1) % 12]} {'minor' if key > 12 else 'major'}" if key else None


def signature_of(key: int) -> tuple[int, str]:
    """Sharps of a key's signature, flats negative, and its mode."""
    tonic, minor = (key - 1) % 12, key > 12
    sharps = 7 * (tonic + (3 if minor else 0)) % 12
    return sharps - 12 if sharps > 6 else sharps, "minor" if minor else "major"
