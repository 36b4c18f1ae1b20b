"""What notation must know of an instrument: its General MIDI name, its clef, and where percussion stands on the staff."""

from __future__ import annotations

from typing import Final, NamedTuple

NAMES: Final = (  # of programs 0..127
    "Piano", "Bright Piano", "Electric Grand Piano", "Honky-tonk Piano", "Electric Piano", "Electric Piano 2", "Harpsichord", "Clavinet",
    "Celesta", "Glockenspiel", "Music Box", "Vibraphone", "Marimba", "Xylophone", "Tubular Bells", "Dulcimer",
    "Drawbar Organ", "Percussive Organ", "Rock Organ", "Organ", "Reed Organ", "Accordion", "Harmonica", "Tango Accordion",
    "Guitar", "Steel Guitar", "Jazz Guitar", "Clean Guitar", "Muted Guitar", "Overdriven Guitar", "Distortion Guitar", "Guitar Harmonics",
    "Acoustic Bass", "Finger Bass", "Pick Bass", "Fretless Bass", "Slap Bass", "Slap Bass 2", "Synth Bass", "Synth Bass 2",
    "Violin", "Viola", "Violoncello", "Contrabass", "Tremolo Strings", "Pizzicato Strings", "Harp", "Timpani",
    "Strings", "Strings 2", "Synth Strings", "Synth Strings 2", "Choir", "Voice", "Synth Voice", "Orchestra Hit",
    "Trumpet", "Trombone", "Tuba", "Muted Trumpet", "Horn", "Brass", "Synth Brass", "Synth Brass 2",
    "Soprano Sax", "Alto Sax", "Tenor Sax", "Baritone Sax", "Oboe", "English Horn", "Bassoon", "Clarinet",
    "Piccolo", "Flute", "Recorder", "Pan Flute", "Bottle", "Shakuhachi", "Whistle", "Ocarina",
    "Square Lead", "Sawtooth Lead", "Calliope Lead", "Chiff Lead", "Charang Lead", "Voice Lead", "Fifths Lead", "Bass Lead",
    "New Age Pad", "Warm Pad", "Polysynth Pad", "Choir Pad", "Bowed Pad", "Metallic Pad", "Halo Pad", "Sweep Pad",
    "Rain", "Soundtrack", "Crystal", "Atmosphere", "Brightness", "Goblins", "Echoes", "Sci-fi",
    "Sitar", "Banjo", "Shamisen", "Koto", "Kalimba", "Bagpipe", "Fiddle", "Shanai",
    "Tinkle Bell", "Agogo", "Steel Drums", "Woodblock", "Taiko", "Melodic Tom", "Synth Drum", "Reverse Cymbal",
    "Fret Noise", "Breath Noise", "Seashore", "Bird", "Telephone", "Helicopter", "Applause", "Gunshot",
)  # fmt: skip
PERCUSSION: Final = "Percussion"
TWO_STAVES: Final = frozenset((*range(8), *range(16, 21), 46))  # keyboards and the harp


class Clef(NamedTuple):
    """Sign, line from below, and octaves by which notes sound away from what is written."""

    sign: str
    line: int
    octave: int = 0


TREBLE: Final = Clef("G", 2)
BASS: Final = Clef("F", 4)
ALTO: Final = Clef("C", 3)
GUITAR: Final = Clef("G", 2, -1)
DRUMS: Final = Clef("percussion", 2)
_VIOLA: Final = 41
_ALWAYS: Final = {_VIOLA: ALTO, 40: TREBLE, 73: TREBLE, 72: TREBLE, 43: BASS, 58: BASS, 47: BASS}


def clef_of(program: int, median_pitch: float) -> Clef:
    """The clef of an instrument whose notes lie around a pitch."""
    if program in _ALWAYS:
        return _ALWAYS[program]
    if 24 <= program < 32:
        return GUITAR
    if 32 <= program < 40:
        return BASS
    return TREBLE if median_pitch >= 57 else BASS


def place_of(key: int) -> tuple[str, int, str]:
    """Where a key of the General MIDI drum map stands on a five-line staff: letter, octave, notehead."""
    return _DRUMS.get(key, ("C", 5, "normal"))


_DRUMS: Final[dict[int, tuple[str, int, str]]] = {
    35: ("F", 4, "normal"), 36: ("F", 4, "normal"), 37: ("C", 5, "x"), 38: ("C", 5, "normal"), 39: ("C", 5, "x"),
    40: ("C", 5, "normal"), 41: ("G", 4, "normal"), 42: ("G", 5, "x"), 43: ("A", 4, "normal"), 44: ("D", 4, "x"),
    45: ("B", 4, "normal"), 46: ("G", 5, "circle-x"), 47: ("D", 5, "normal"), 48: ("E", 5, "normal"),
    49: ("A", 5, "x"), 50: ("E", 5, "normal"), 51: ("F", 5, "x"), 53: ("F", 5, "diamond"), 57: ("A", 5, "x"),
}  # fmt: skip
