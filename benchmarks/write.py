"""Whether what Fugato writes is read back: every Nth printed score of music21's corpus, as MusicXML and as MIDI, and its spelling.

    python benchmarks/write.py [--every 40]

A piece counts as read back when a reader finds the same onsets and pitches, to 0.02 quarter notes (rounded durations of the sources):
Fugato's own reader, music21, and Verovio by its MIDI. The schema is that of MusicXML 4.0 in the package musicxml. Spelling is the share
of notes, unisons aside, whose letter and sign are those of the print; the sources are read by music21 at sounding pitch.
Writes benchmarks/results/write.json.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import re
import time
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

import fugato
from fugato.errors import FugatoError
from fugato.score import Key, Score
from fugato.study.read_back import by_music21, by_verovio, same
from fugato.write.midi import midi_bytes
from fugato.write.musicxml import musicxml_bytes
from fugato.write.spelling import spell

RESULT = Path(__file__).resolve().parent / "results" / "write.json"
SUFFIXES = (".mxl", ".musicxml", ".xml", ".krn", ".abc")
LONGEST = 4000  # notes of a piece


def corpus() -> Path:
    """The folder of music21's corpus."""
    spec = importlib.util.find_spec("music21")
    assert spec is not None and spec.submodule_search_locations
    return Path(spec.submodule_search_locations[0]) / "corpus"


def schema() -> Any:
    """The XSD of MusicXML 4.0, without links and languages, whose schemas lie elsewhere."""
    import musicxml
    from lxml import etree

    path = Path(musicxml.__file__).parent / "generate_classes" / "musicxml_4_0.xsd"
    text = re.sub(r'<xs:import [^>]*/>|<xs:attribute ref="(?:xlink|xml):[^>]*/>', "", path.read_text(encoding="utf-8"))
    return etree.XMLSchema(etree.fromstring(text.encode()))


def spelling(path: Path) -> tuple[int, int]:
    """Notes spelt as printed, and all notes."""
    from music21 import converter

    piece = converter.parse(path).toSoundingPitch()
    found = {
        (round(float(n.getOffsetInHierarchy(piece)), 4), p.midi): (p.step, int(p.alter))
        for n in piece.recurse().notes
        for p in n.pitches
    }
    rows = sorted(found)
    keys = [
        Key(float(k.getOffsetInHierarchy(piece)), k.sharps)
        for k in piece.parts[-1].recurse().getElementsByClass("KeySignature")
    ]
    score = Score.from_notes([r[0] for r in rows], np.ones(len(rows)), [r[1] for r in rows], keys=keys)
    names = spell(score)
    return sum((n.letter, n.alter) == found[r] for n, r in zip(names, rows, strict=True)), len(rows)


def agrees(reader: Callable[[bytes], Score | None], data: bytes, score: Score) -> bool:
    """Whether a reader finds the notes of a Score in a document."""
    found = reader(data)
    return found is not None and same(found, score)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--every", type=int, default=40)
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    from lxml import etree

    valid = schema()
    readers: dict[str, Callable[[bytes], Score | None]] = {
        "fugato": lambda data: fugato.read(data, name="piece.musicxml"),
        "music21": by_music21,
        "verovio": lambda data: by_verovio([data])[0],
    }
    counts = dict.fromkeys(("pieces", "notes", "valid", "midi", *readers), 0)
    right = spelt = 0
    seconds = 0.0
    missed: dict[str, list[str]] = {}
    for path in sorted(p for p in corpus().rglob("*") if p.suffix in SUFFIXES)[:: args.every]:
        name = path.relative_to(corpus()).as_posix()
        try:
            score = fugato.read(path)
        except FugatoError:
            continue
        if len(score) > LONGEST or score.beats != "notated":
            continue
        began = time.process_time()
        data = musicxml_bytes(score)
        seconds += time.process_time() - began
        counts["pieces"] += 1
        counts["notes"] += len(score)
        checks: dict[str, Callable[[], bool]] = {
            "valid": lambda data=data: bool(valid.validate(etree.fromstring(data))),
            "midi": lambda score=score: same(fugato.read(midi_bytes(score)), score),
            **{r: partial(agrees, read, data, score) for r, read in readers.items()},
        }
        for what, check in checks.items():
            if check():
                counts[what] += 1
            else:
                missed.setdefault(what, []).append(name)
        hits, notes = spelling(path) if path.suffix != ".abc" else (0, 0)  # tune books
        right, spelt = right + hits, spelt + notes
    result = {
        **counts,
        "missed": missed,
        "milliseconds of MusicXML per note": round(1000 * seconds / counts["notes"], 2),
        "spelt as printed": round(right / spelt, 4),
        "notes whose spelling was compared": spelt,
        "every": args.every,
    }
    RESULT.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
