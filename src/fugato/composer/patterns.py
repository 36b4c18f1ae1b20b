"""Cells of the exact blocks in a musician's words: "bass falls a fifth", "melody from the leading note to the tonic".

Only blocks that can be said in a few words are described; a hashed cell stands for many grams and cannot be.
"""

from __future__ import annotations

from typing import Final

from fugato.represent.ngrams import ALPHABETS

_INTERVALS: Final = (
    "unison",
    "semitone",
    "whole tone",
    "minor third",
    "major third",
    "fourth",
    "tritone",
    "fifth",
    "minor sixth",
    "major sixth",
    "minor seventh",
    "major seventh",
    "octave",
    "minor ninth",
    "major ninth",
    "minor tenth",
    "major tenth",
)
_DEGREES: Final = (
    "tonic",
    "flat second",
    "second",
    "minor third",
    "major third",
    "fourth",
    "raised fourth",
    "fifth",
    "flat sixth",
    "sixth",
    "flat seventh",
    "leading note",
)
_NUMBERS: Final = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine or more")
# Pitch classes above the bass -> name; inversions by their figured bass.
_CHORDS: Final[dict[tuple[int, ...], str]] = {
    (0,): "a single pitch class",
    (0, 7): "an open fifth",
    (0, 4): "a major third",
    (0, 3): "a minor third",
    (0, 8): "a minor sixth",
    (0, 9): "a major sixth",
    (0, 5): "a fourth",
    (0, 6): "a tritone",
    (0, 4, 7): "a major triad",
    (0, 3, 8): "a major triad, first inversion",
    (0, 5, 9): "a major triad, second inversion",
    (0, 3, 7): "a minor triad",
    (0, 4, 9): "a minor triad, first inversion",
    (0, 5, 8): "a minor triad, second inversion",
    (0, 3, 6): "a diminished triad",
    (0, 3, 9): "a diminished triad, first inversion",
    (0, 4, 8): "an augmented triad",
    (0, 4, 7, 10): "a dominant seventh",
    (0, 3, 6, 8): "a dominant seventh, first inversion",
    (0, 3, 5, 9): "a dominant seventh, second inversion",
    (0, 2, 6, 9): "a dominant seventh, third inversion",
    (0, 4, 10): "a dominant seventh without its fifth",
    (0, 3, 6, 9): "a diminished seventh",
    (0, 3, 6, 10): "a half-diminished seventh",
    (0, 3, 7, 10): "a minor seventh chord",
    (0, 4, 7, 11): "a major seventh chord",
}
_RATIOS: Final = (
    "under a fifth",
    "a quarter",
    "a third",
    "half",
    "two thirds",
    "four fifths",
    "as long",
    "five quarters",
    "one and a half",
    "twice",
    "three times",
    "four times",
    "over six times",
)


def describe(block: str, cell: int) -> str | None:
    """A gram in words.

    Parameters
    ----------
    block : str
        The name of an exact block, such as "bass/2".
    cell : int
        Within the block.

    Returns
    -------
    str or None
        None where it cannot be said shortly.
    """
    symbols, _, order = block.partition("/")
    names = symbols.split("+")
    values: list[list[int]] = []
    for _ in range(int(order or 0)):
        together: list[int] = []
        for name in reversed(names):
            cell, value = divmod(cell, ALPHABETS[name])
            together.insert(0, value)
        values.insert(0, together)
    flat = [v for step in values for v in step]
    match symbols:
        case "melody" | "bass":
            return f"{symbols} " + ", then ".join(_motion(v) for v in flat)
        case "melody+bass" if len(flat) == 2:
            return f"melody {_motion(flat[0])} while bass {_motion(flat[1])}"
        case "degree" | "bass_degree":
            line = "bass" if symbols == "bass_degree" else "melody"
            mode = "minor" if flat[0] >= 12 else "major"
            path = [_DEGREES[v % 12] for v in flat]
            where = f"on the {path[0]}" if len(path) == 1 else f"from the {path[0]} to the {path[1]}"
            return f"{line} {where} ({mode})"
        case "degree+bass_degree":
            mode = "minor" if flat[0] >= 12 else "major"
            return f"{_DEGREES[flat[0] % 12]} in the melody over the {_DEGREES[flat[1] % 12]} in the bass ({mode})"
        case "chord":
            above = tuple(k for k in range(12) if flat[0] >> k & 1)
            return _CHORDS.get(above) or f"pitch classes {', '.join(map(str, above))} above the bass"
        case "size":
            return ", then ".join(f"{_NUMBERS[v + 1]} note{'s' * (v > 0)}" for v in flat) + " struck together"
        case "ratio":
            return ", then ".join(f"a step {_RATIOS[v]} the one before" for v in flat).replace(
                "as long the one", "as long as the one"
            )
        case "sounding":
            return f"{flat[0] if flat[0] < 11 else '11 or more'} notes sounding at once"
        case "gap":
            return f"outer notes {flat[0] if flat[0] < 48 else '48 or more'} semitones apart"
    return None


def _motion(value: int) -> str:
    """The value of a "melody" or "bass" symbol as a verb."""
    step = value - 16
    if step == 0:
        return "repeats its note"
    size = _INTERVALS[min(abs(step), 16)]
    article = "an" if size == "octave" else "a"
    more = " or more" if abs(step) == 16 else ""
    return f"{'rises' if step > 0 else 'falls'} {article} {size}{more}"
