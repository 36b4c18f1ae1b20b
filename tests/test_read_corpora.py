"""Real collections: the share that loads, agreement with the field's other readers, and the hostile files."""

from __future__ import annotations

import csv
import random
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from fugato.errors import FugatoError
from fugato.read import Limits, read, read_many
from fugato.score import Score

pytestmark = pytest.mark.corpora


def sample(corpora: Path, corpus: str, suffix: str, size: int, seed: int = 7) -> list[Path]:
    with (corpora / "index.csv").open(encoding="utf-8") as file:
        paths = [
            corpora / r["path"]
            for r in csv.DictReader(file)
            if r["corpus"] == corpus and r["path"].lower().endswith(suffix) and (corpora / r["path"]).is_file()
        ]
    if not paths:
        pytest.skip(f"{corpus} is not unpacked")
    return random.Random(seed).sample(paths, min(size, len(paths)))


def rounded(score: Score) -> list[tuple[float, int, float]]:
    """The notes in an order that voices in unison do not change."""
    return sorted((round(float(n["onset"]), 2), int(n["pitch"]), round(float(n["duration"]), 2)) for n in score.notes)


@pytest.mark.parametrize(
    ("corpus", "suffix", "size", "share"),
    [
        ("classics", ".mid", 400, 0.995),
        ("wide", ".mid", 300, 0.99),
        ("maestro", ".midi", 40, 1.0),
        ("mutopia", ".mid", 100, 0.99),
        ("openscore", ".mxl", 30, 1.0),
        ("asap", ".musicxml", 20, 1.0),
        ("nifc", ".krn", 60, 1.0),
        ("unseen", ".abc", 6, 1.0),
    ],
)
def test_nearly_every_file_of_a_collection_is_read(
    corpora: Path, corpus: str, suffix: str, size: int, share: float
) -> None:
    items = list(read_many(sample(corpora, corpus, suffix, size)))
    refused = {str(i.source): i.result for i in items if isinstance(i.result, FugatoError)}
    assert len(refused) <= (1 - share) * len(items), refused


def test_midi_notes_are_those_that_symusic_reads(corpora: Path) -> None:
    symusic = pytest.importorskip("symusic")
    differing = 0
    paths = sample(corpora, "classics", ".mid", 100) + sample(corpora, "nine", ".mid", 50)
    for path in paths:
        try:
            theirs = symusic.Score.from_midi(path.read_bytes())
        except Exception:  # noqa: BLE001 (it refuses some that are read here)
            continue
        ours = read(path)
        ticks = theirs.ticks_per_quarter
        expected = Counter((n.time, n.pitch, n.duration or ticks // 8) for t in theirs.tracks for n in t.notes)
        onset, duration = np.round(ours.notes["onset"] * ticks), np.round(ours.notes["duration"] * ticks)
        got = Counter(zip(onset.tolist(), ours.notes["pitch"].tolist(), duration.tolist(), strict=True))
        differing += (got & expected).total() < 0.99 * max(got.total(), expected.total())
    assert differing <= 0.03 * len(paths)


def test_musicxml_notes_are_those_that_music21_reads(corpora: Path) -> None:
    from music21 import converter

    from fugato.read.streams import score_of_streams

    paths = [p for p in sample(corpora, "asap", ".musicxml", 30) if p.stat().st_size < 700_000][:3]
    for path in paths:
        theirs = score_of_streams([converter.parse(path, forceSource=True).toSoundingPitch()], "", Limits())
        ours = read(path, sandbox=False)
        both = Counter(rounded(ours)) & Counter(rounded(theirs))
        assert both.total() >= 0.995 * max(len(ours), len(theirs))
        assert np.allclose(ours.bars, theirs.bars, atol=0.05)


def test_every_hostile_file_is_read_or_refused(corpora: Path) -> None:
    items = list(read_many(sample(corpora, "hostile", "", 400)))
    assert all(isinstance(i.result, (Score, FugatoError)) for i in items)
    kinds = Counter(i.result.kind for i in items if isinstance(i.result, FugatoError))
    assert kinds["timeout"] == 0
    assert sum(isinstance(i.result, Score) for i in items) > 0.7 * len(items)


def test_kern_notes_are_those_that_music21_reads(corpora: Path) -> None:
    from music21.humdrum.spineParser import HumdrumDataCollection

    from fugato.read.streams import score_of_streams

    paths = [p for p in sample(corpora, "nifc", ".krn", 200) if "chorales" in p.parts[-3] and p.stat().st_size < 12_000]
    for path in paths[:8]:
        collection = HumdrumDataCollection(path.read_text(encoding="utf-8"))
        collection.parse()
        theirs = score_of_streams([collection.stream], "", Limits())
        ours = read(path, sandbox=False)
        assert rounded(ours) == rounded(theirs)
        assert ours.meters == theirs.meters
