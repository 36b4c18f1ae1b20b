"""Events as rows: what key, tempo and encoding do not change, and how windows of them are loosened for training."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from fugato.errors import FugatoError
from fugato.represent.onsets import COLUMNS, DEGREES, METRE, SIZES, SYMBOLS, TIMING, changed, onsets
from fugato.represent.stream import stream
from fugato.represent.windows import ONSETS, Table, gather, table, table_bytes
from fugato.score import Score

from .music_styles import styled

COLUMN = {name: i for i, name in enumerate(COLUMNS)}


def test_rows_say_what_happens_at_each_event() -> None:
    score = Score.from_notes([0, 0, 1, 2, 4], [1, 1, 1, 2, 2], [48, 64, 65, 62, 62])  # C and E, then F, D, D
    rows = onsets(stream(score))
    assert rows.shape == (4, len(COLUMNS)) and rows.dtype == np.uint8
    melody = rows[:, COLUMN["melody"]].astype(int) - 1 - 16
    assert rows[0, COLUMN["melody"]] == 0, "nothing moved into the first event"
    assert melody[1:].tolist() == [1, -3, 0]
    assert rows[:, COLUMN["size"]].tolist() == [2, 1, 1, 1]
    assert rows[0, COLUMN["gap"]] == 16 + 1
    assert rows[:2, COLUMN["step"]].tolist() == [0, 9], "the step into an event, of the usual length"
    assert rows[:2, COLUMN["ratio"]].tolist() == [0, 0] and rows[2, COLUMN["ratio"]] > 0
    chord = rows[:, COLUMN["chord 0-7"]].astype(int) + (rows[:, COLUMN["chord 8-11"]].astype(int) << 8)
    assert chord[0] == 1 | 1 << 4, "a third above the bass"
    assert (chord & 1).all(), "a chord has its bass"


def test_key_tempo_and_velocity_change_nothing() -> None:
    score = styled("Chopin", 3)
    notes = score.notes.copy()
    notes["pitch"] += 3
    notes["velocity"] = 64
    assert (onsets(stream(score)) == onsets(stream(replace(score, notes=notes)))).all()
    for name in ("onset", "duration", "onset_seconds", "duration_seconds"):
        notes[name] = notes[name] * 2
    heard, slower = replace(score, beats="default"), replace(score, beats="default", notes=notes)
    assert (onsets(stream(heard)) == onsets(stream(slower))).all()


def test_only_a_file_with_beats_has_a_metre() -> None:
    score = styled("Chopin", 3)
    written, heard = onsets(stream(score)), onsets(stream(replace(score, beats="default")))
    assert (written[:, METRE][1:-1] > 0).all() and (heard[:, METRE] == 0).all()
    assert written[0, COLUMN["place"]] == 1, "on the first beat"


def test_spans_say_which_chord_is_spelt_one_note_after_another() -> None:
    score = Score.from_notes(np.arange(8), np.ones(8), [48, 52, 55, 60, 50, 53, 57, 62])  # C E G C, D F A D
    rows = onsets(stream(score)).astype(int)
    spelt = rows[:, COLUMN["chord_4 0-7"]] + 256 * rows[:, COLUMN["chord_4 8-11"]]
    assert spelt[0] == 1 | 1 << 4 | 1 << 7 and spelt[4] == 1 | 1 << 3 | 1 << 7
    assert (spelt[5:] == 0).all(), "no span of four begins there"
    assert rows[4, COLUMN["low_4"]] == 2 + 16 + 1 and rows[0, COLUMN["low_4"]] == 0


def test_symbols_stay_below_the_sizes_that_networks_are_built_with() -> None:
    for composer in ("Bach", "Chopin"):
        rows = onsets(stream(styled(composer, 0)))
        assert (rows[:, : len(SYMBOLS)] < np.array(SIZES)).all()


def test_windows_overlap_by_half_and_reach_the_end() -> None:
    n = 700
    score = Score.from_notes(np.arange(n) * 0.5, np.full(n, 0.5), 60 + np.arange(n) % 12)
    found = table(score, "onsets")
    assert found.starts.tolist() == [0, 128, 256, 384, 444], "the last ends with the piece"
    assert found.end[-1] == pytest.approx(found.begin[0] + n * 0.25, abs=0.5)
    short = table(Score.from_notes(np.arange(30) * 0.5, np.full(30, 0.5), 60 + np.arange(30) % 12), "onsets")
    assert short.starts.tolist() == [0] and len(short.rows) == ONSETS
    assert (short.rows[30:] == 0).all() and (short.rows[:30, COLUMN["chord 0-7"]] > 0).all()
    with pytest.raises(FugatoError, match="only 9 of the 20"):
        table(Score.from_notes(np.arange(9), np.ones(9), 60 + np.arange(9)), "onsets")


def test_a_copy_as_if_played_follows_the_windows_of_a_notated_file() -> None:
    score = styled("Bach", 2)
    plain = table(score, "onsets")
    both = Table.from_bytes(table_bytes(score, name="x", sha256="ab" * 32, kind="onsets", copies=True))
    n = len(plain.starts)
    assert plain.copied == 0 and both.copied == len(both.starts) - n > 0
    assert (both.rows[: len(plain.rows)] == plain.rows).all() and (both.starts[:n] == plain.starts).all()
    again = Table.from_bytes(table_bytes(score, name="x", sha256="ab" * 32, kind="onsets", copies=True))
    assert (again.rows == both.rows).all(), "the same file gives the same copy"
    heard = replace(score, beats="default")
    assert Table.from_bytes(table_bytes(heard, name="x", sha256="ab" * 32, kind="onsets", copies=True)).copied == 0


def test_training_windows_are_loosened_and_those_they_are_made_from_are_not() -> None:
    found = table(styled("Chopin", 1), "onsets")
    rows = np.repeat(gather(found.rows, found.starts[:1], ONSETS), 400, axis=0)
    before = rows.copy()
    out = changed(rows, np.random.default_rng(0))
    assert (rows == before).all()
    assert (changed(rows, np.random.default_rng(0)) == out).all(), "drawn from the generator alone"
    assert (out[..., : len(SYMBOLS)] < np.array(SIZES)).all()
    chord = out[..., COLUMN["chord 0-7"]]
    length = (chord > 0).sum(axis=1)
    whole = int((rows[0, :, COLUMN["chord 0-7"]] > 0).sum())
    assert 0.2 < (length < whole).mean() < 0.4 and 20 <= length.min() < 40, "a third is cut short, some by much"
    heard = np.arange(ONSETS) < length[:, None]
    assert (out[~heard] == 0).all(), "nothing is left beyond the end"
    assert (out[..., len(SYMBOLS) :] == rows[..., len(SYMBOLS) :])[heard].all(), "chords are left alone"
    without = (out[..., TIMING] == 0).all(axis=(1, 2)).mean()
    assert 0.28 < without < 0.45, "a third has no timing"
    unmetred = (out[..., METRE] == 0).all(axis=(1, 2))
    assert 0.4 < unmetred.mean() < 0.56 and unmetred[(out[..., TIMING] == 0).all(axis=(1, 2))].all(), "nor a metre"
    step = COLUMN["step"]
    kept = out[:, 1:, step] > 0
    assert kept.any()
    moved = np.abs(out[:, 1:, step].astype(int) - rows[:, 1:, step].astype(int))[kept]
    assert 0.05 < (moved > 0).mean() < 0.5 and moved.max() <= 4
    degree = DEGREES[0]
    turned = ((out[..., degree] != rows[..., degree]) & heard).any(axis=1) & (out[..., degree] > 0).any(axis=1)
    assert 0.04 < turned.mean() < 0.16, "of a tenth the tonic is misheard"
    mode = (out[..., degree].astype(int) - 1) // 12 == (rows[..., degree].astype(int) - 1) // 12
    assert mode[out[..., degree] > 0].all(), "the mode is kept"
