"""Cells of the exact blocks in a musician's words: "bass falls a fifth", "melody from the leading note to the tonic".

Only blocks that can be said in a few words are described; a hashed cell stands for many grams and cannot be.
"""

from __future__ import annotations

from fractions import Fraction
from math import gcd, lcm
from typing import Final

from fugato.represent.ngrams import ALPHABETS

# What a pattern is about, so that an account of a piece is not six times the same: symbols -> aspect.
ASPECTS: Final[dict[str, str]] = {
    "melody": "melody",
    "degree": "melody",
    "bass": "bass",
    "bass_degree": "bass",
    "melody+bass": "counterpoint",
    "degree+bass_degree": "counterpoint",
    "gap": "counterpoint",
    "local_degree": "melody",
    "local_bass_degree": "bass",
    "local_degree+local_bass_degree": "counterpoint",
    "key": "keys",
    "key_change": "keys",
    "echo": "repetition",
    "bass_echo": "repetition",
    "answer": "imitation",
    "bass_answer": "imitation",
    "chord": "harmony",
    "chord_4": "harmony",
    "place": "metre",
    "written_top": "note values",
    "wide_classes": "harmony",
    "ratio": "rhythm",
    "size": "texture",
    "sounding": "texture",
    "held": "texture",
    "hold": "articulation",
    "bass_hold": "articulation",
}
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
# Scale degrees, in semitones above the tonic, as they are called in major and in minor.
_DEGREES: Final = (
    (
        "tonic",
        "lowered second degree",
        "second degree",
        "lowered third degree",
        "third degree",
        "fourth degree",
        "raised fourth degree",
        "dominant",
        "lowered sixth degree",
        "sixth degree",
        "lowered seventh degree",
        "leading note",
    ),
    (
        "tonic",
        "lowered second degree",
        "second degree",
        "third degree",
        "raised third degree",
        "fourth degree",
        "raised fourth degree",
        "dominant",
        "sixth degree",
        "raised sixth degree",
        "seventh degree",
        "leading note",
    ),
)
_NUMBERS: Final = (
    "no",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "all twelve",
)
_ABOVE: Final = (  # semitones above the bass, as a figured bass would count them
    "",
    "a minor second",
    "a second",
    "a minor third",
    "a major third",
    "a fourth",
    "a tritone",
    "a fifth",
    "a minor sixth",
    "a major sixth",
    "a minor seventh",
    "a major seventh",
)
# Pitch classes above the bass -> name; inversions by their figured bass.
_CHORDS: Final[dict[tuple[int, ...], str]] = {
    (0,): "a bare note or octave",
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
    (0, 5, 7): "a triad with a suspended fourth",
}
_RATIOS: Final = (1 / 6, 1 / 4, 1 / 3, 1 / 2, 2 / 3, 3 / 4, 1, 4 / 3, 3 / 2, 2, 3, 4, 6)  # of successive time spans
# Keys as seen from that of the piece: tonics above its own, in major and in minor.
_KEYS: Final = (
    (
        "key of the piece",
        "major key a semitone above",
        "major key a tone above",
        "major key a minor third above",
        "major key a major third above",
        "subdominant major",
        "major key a tritone away",
        "dominant major",
        "major key a major third below",
        "major key a minor third below",
        "major key a tone below",
        "major key a semitone below",
    ),
    (
        "minor key on its own tonic",
        "minor key a semitone above",
        "minor key a tone above",
        "minor key a minor third above",
        "minor key a major third above",
        "subdominant minor",
        "minor key a tritone away",
        "dominant minor",
        "minor key a major third below",
        "minor key a minor third below",
        "minor key a tone below",
        "minor key a semitone below",
    ),
)
# Octaves against a quarter note -> note value.
_VALUES: Final = {
    -4: "sixty-fourth note",
    -3: "thirty-second note",
    -2: "sixteenth note",
    -1: "eighth note",
    0: "quarter note",
    1: "half note",
    2: "whole note",
    3: "breve",
}
NEAR_ECHO: Final = 7  # octaves of notes within which an answer is heard as one
CHROMATIC: Final = 10  # pitch classes within sixteen attacks: more than a scale and its borrowed notes
LONGEST_RATIO: Final = 16  # beyond it proportions are no longer heard as a rhythm
_EVEN: Final = _RATIOS.index(1)


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
            return f"{symbols} {_motions(flat)}"
        case "melody+bass" if len(flat) == 2:
            return _outer(flat[0], flat[1])
        case "degree" | "bass_degree" | "local_degree" | "local_bass_degree":
            line = "bass" if "bass" in symbols else "melody"
            path = [_degree(v) for v in flat]
            if len(path) == 1:
                return f"{line} on the {path[0]} ({_mode(flat[0])})"
            where = f"stays on the {path[0]}" if path[0] == path[1] else f"goes from the {path[0]} to the {path[1]}"
            return f"{line} {where} ({_mode(flat[0])})"
        case "degree+bass_degree" | "local_degree+local_bass_degree":
            return f"{_degree(flat[0])} in the melody over the {_degree(flat[1])} in the bass ({_mode(flat[0])})"
        case "key" if flat[0] not in (0, 12):
            return f"passages in the {_KEYS[flat[0] // 12][flat[0] % 12]}"
        case "key_change":
            return _key_change(flat[0])
        case "echo" | "bass_echo" if len(flat) == 1:
            return _echo("bass" if symbols == "bass_echo" else "melody", flat[0])
        case "answer" | "bass_answer" if flat[0] <= NEAR_ECHO:
            first, second = ("melody", "bass") if symbols == "bass_answer" else ("bass", "melody")
            return f"imitation: the {second} takes up a turn of the {first}{_notes_later(flat[0])}"
        case "chord":
            return _chord(flat[0])
        case "chord_4" if flat[0]:
            return f"{_chord(flat[0])} spelt by four attacks in a row"
        case "place":
            return _place(flat[0])
        case "written_top":
            return _note_value(flat[0])
        case "wide_classes" if flat[0] >= CHROMATIC:
            return f"chromatic writing: {_NUMBERS[flat[0]]} different pitch classes within sixteen attacks"
        case "size":
            return _texture(flat)
        case "ratio":
            return _rhythm(flat)
        case "sounding":
            return _sounding(flat[0])
        case "held":
            more = " or more" if flat[0] == 7 else ""
            many = f"{_NUMBERS[flat[0]]}{more} note{'s are' if flat[0] != 1 else ' is'}"
            return f"{many} held while another begins"
        case "hold" | "bass_hold":
            line = "bass" if symbols == "bass_hold" else "melody"
            how = (
                "let go before the next attack",
                "held until the next attack (legato)",
                "ringing on over the next attack",
            )
            return f"{line} notes {how[(flat[0] > 5) + (flat[0] > 6)]}"
        case "gap":
            return "melody and bass " + (_distance(flat[0]) if flat[0] else "on one note")
    return None


def _key_change(value: int) -> str | None:
    """The next key as seen from the last one."""
    if value == 24:
        return "stays in its key throughout"
    up, minor = value % 12, value >= 12
    if up == 0:
        return f"turns to {'minor' if minor else 'major'} on the same tonic"
    far = _INTERVALS[min(up, 12 - up)]
    return f"modulates {'up' if up <= 6 else 'down'} a {far}, to {'minor' if minor else 'major'}"


def _echo(line: str, octaves: int) -> str:
    """How soon a turn of a line comes back, in octaves of notes."""
    if octaves > 12:
        return f"{line} turns to what it has not had before"
    return f"{line} repeats a turn{_notes_later(octaves)}"


def _notes_later(octaves: int) -> str:
    low, high = 1 << octaves, (2 << octaves) - 1
    if low == high:
        return " at once"
    return f" {low} to {high} notes later" if octaves < 12 else f" {low:,} notes later or more"


def _motion(value: int) -> str:
    """The value of a "melody" or "bass" symbol as a verb."""
    step = value - 16
    if step == 0:
        return "repeats its note"
    more = " or more" if abs(step) == 16 else ""
    return f"{'rises' if step > 0 else 'falls'} {_interval(abs(step))}{more}"


def _motions(values: list[int]) -> str:
    """One move after another."""
    moves = [_motion(v) for v in values]
    if len(moves) == 2 and moves[0] == moves[1]:
        return f"{moves[0]} twice in a row"
    for k in range(len(moves) - 1, 0, -1):
        verb, size = moves[k].split(" ", 1)
        if moves[k - 1].startswith(verb) and verb != "repeats":
            moves[k] = size
    return ", then ".join(moves)


def _interval(semitones: int) -> str:
    size = _INTERVALS[semitones]
    return f"{'an' if size == 'octave' else 'a'} {size}"


def _outer(melody: int, bass: int) -> str:
    """How the outer voices move together."""
    if melody == bass:
        if melody == 16:
            return "melody and bass repeat their notes"
        return f"melody and bass {_motion(melody).replace('rises', 'both rise').replace('falls', 'both fall')}"
    if bass == 16:
        return f"melody {_motion(melody)} over the same bass note"
    if melody == 16:
        return f"bass {_motion(bass)} under the same melody note"
    return f"bass {_motion(bass)}, melody {_motion(melody)}"


def _degree(value: int) -> str:
    return _DEGREES[value // 12][value % 12]


def _mode(value: int) -> str:
    return "in minor" if value >= 12 else "in major"


def _chord(above: int) -> str:
    """The set of pitch classes above a bass note, bit k - 1 for k semitones."""
    members = (0, *(k for k in range(1, 12) if above >> (k - 1) & 1))
    if members in _CHORDS:
        return _CHORDS[members]
    if len(members) == 2:
        return f"the bare interval of {_ABOVE[members[1]]}"
    if len(members) > 6:
        return f"a cluster of {_NUMBERS[len(members)]} different pitch classes"
    *most, last = (_ABOVE[k] for k in members[1:])
    return f"{', '.join(most)} and {last} above the bass"


def _place(sixteenths: int) -> str | None:
    """Where in the bar something begins."""
    if sixteenths in (0, 63):
        return None if sixteenths else "attacks on the downbeat"  # the last place is "or later"
    of = next(of for of in (4, 2, 1) if sixteenths % of == 0)
    many = sixteenths // of
    name = {4: "quarter note", 2: "eighth note", 1: "sixteenth note"}[of]
    return f"attacks {_NUMBERS[many] if many < len(_NUMBERS) - 1 else many} {name}{'s' * (many > 1)} into the bar"


def _note_value(half_octaves: int) -> str | None:
    """The value nearest to a length in half-octaves against a quarter note; dotted ones lie between."""
    octaves, between = divmod(half_octaves - 10, 2)
    if octaves not in _VALUES:
        return None
    return f"melody in {'dotted ' * between}{_VALUES[octaves]}s"


def _texture(sizes: list[int]) -> str:
    """How many notes are struck together, one attack after another; 0 stands for one."""

    def one(size: int) -> str:
        if size < 2:
            return ("a single note", "two notes together")[size]
        return f"a chord of {_NUMBERS[size + 1]}{' or more' if size == 8 else ''} notes"

    if len(sizes) > 1 and len(set(sizes)) == 1:
        many = _NUMBERS[len(sizes)]
        kinds = (f"{many} single notes", f"{many} times two notes together")
        first = kinds[sizes[0]] if sizes[0] < 2 else f"{many} chords of {one(sizes[0]).removeprefix('a chord of ')}"
        return f"{first} in a row"
    return ", then ".join(one(size) for size in sizes)


def _rhythm(ratios: list[int]) -> str | None:
    """Proportions of the time spans between attacks."""
    if all(r == _EVEN for r in ratios):
        return f"even motion: {_NUMBERS[len(ratios) + 1]} equal time spans in a row"
    spans = [Fraction(1)]
    for r in ratios:
        spans.append(spans[-1] * Fraction(_RATIOS[r]).limit_denominator(6))
    whole = lcm(*(span.denominator for span in spans))
    numbers = [int(span * whole) for span in spans]
    shared = gcd(*numbers)
    if max(numbers) > LONGEST_RATIO * shared:
        return None
    about = "about " if {0, len(_RATIOS) - 1} & set(ratios) else ""
    return f"rhythm {about}{' : '.join(str(n // shared) for n in numbers)}"


def _sounding(notes: int) -> str:
    if notes < 2:
        return ("a moment of rest after the attack", "a single note sounding")[notes]
    return f"{_NUMBERS[notes]}{' or more' * (notes == 11)} notes sounding at once"


def _distance(semitones: int) -> str:
    more = " or more" if semitones >= 48 else ""
    return f"{_compound(semitones)}{more} apart"


def _compound(semitones: int) -> str:
    """An interval up to a tenth by its name, a wider one as octaves and the rest: "two octaves and a fifth"."""
    if semitones <= 16:
        return _interval(semitones)
    octaves, rest = divmod(semitones, 12)
    whole = "an octave" if octaves == 1 else f"{_NUMBERS[octaves]} octaves"
    return f"{whole} and {_interval(rest)}" if rest else whole
