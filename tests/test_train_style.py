"""Learning the style space: what differs within a work is turned down, what tells composers apart is kept."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fugato.corpus import Piece, load_corpus
from fugato.errors import FugatoError
from fugato.represent import ngrams
from fugato.represent.style_space import SKETCH, unit

pytest.importorskip("scipy", reason="training needs the extra train")

from fugato.train import style

COMPOSERS, WORKS, FILES = 6, 8, 3


def sketches(noise: float = 3.0, seed: int = 0) -> style.Sketches:
    """Composers and works along directions of their own, and files apart along ten directions that are far stronger."""
    rng = np.random.default_rng(seed)
    size = 2 * SKETCH
    maker = np.linalg.qr(rng.normal(size=(size, 10)))[0].T  # how files are made
    pieces, rows = [], []
    for composer in range(COMPOSERS):
        hand = rng.normal(size=size) / np.sqrt(size)
        for work in range(WORKS):
            music = hand + 0.7 * rng.normal(size=size) / np.sqrt(size)
            for file in range(FILES):
                name = f"{composer}-{work}-{file}"
                pieces.append(Piece(name, name, f"composer {composer}", group=f"{composer}-{work}"))
                rows.append(music + noise * rng.normal(size=10) @ maker)
    table = unit(np.array(rows, np.float32))
    return style.Sketches(tuple(pieces), np.zeros(0, np.int64), table, np.ones(ngrams.width(), np.float32), ())


def found(vectors: np.ndarray, works: np.ndarray) -> float:
    """Share of files whose nearest other file is of their work."""
    cosine = vectors @ vectors.T
    np.fill_diagonal(cosine, -2)
    return float((works[cosine.argmax(axis=1)] == works).mean())


def test_files_of_a_work_are_brought_together_and_composers_told_apart() -> None:
    made = sketches()
    rows = np.flatnonzero([int(p.id.split("-")[1]) < WORKS - 2 for p in made.pieces])
    held = np.setdiff1d(np.arange(len(made.pieces)), rows)
    space = style.fit(made, rows, dimensions=30)
    after, before, works = style.project(space, made), made.vectors, made.works
    assert after.shape == (len(made.pieces), 30)
    assert np.allclose(np.linalg.norm(after, axis=1), 1, atol=1e-5)
    assert found(before[rows], works[rows]) < 0.7 < 0.95 < found(after[rows], works[rows])
    right = {}
    for name, vectors in (("before", before), ("after", after)):
        named = style.nearest_names(vectors[held], vectors[rows], made.composers[rows])
        right[name] = float(np.mean(np.array(named) == made.composers[held]))
    assert right["after"] > max(right["before"] + 0.1, 0.6), "on works that it has not seen"


def test_copies_stand_for_files_where_a_work_has_one() -> None:
    made = sketches()
    one = np.arange(0, len(made.pieces), FILES)  # one file a work, the next as its copy
    small = style.Sketches(
        tuple(made.pieces[i] for i in one),
        np.arange(len(one)),
        np.concatenate([made.vectors[one], made.vectors[one + 1]]),
        made.rarity,
        (),
    )
    space = style.fit(small, dimensions=20)
    after = unit((made.vectors - space.mean) @ space.matrix)
    assert found(after, made.works) > found(made.vectors, made.works) + 0.3
    with pytest.raises(FugatoError, match="No work has two files"):
        style.fit(style.Sketches(small.pieces, np.zeros(0, np.int64), made.vectors[one], made.rarity, ()))


def test_tables_rise_and_one_hand_is_more_alike_than_two() -> None:
    made = sketches(noise=0.0)
    tables = style.tables(made.vectors, made.works.tolist(), made.composers.tolist())
    for table in tables.values():
        assert len(table) == style.QUANTILES and table == sorted(table) and -1 <= table[0] < table[-1] <= 1
    assert tables["same"][100] > tables["different"][100] + 0.3
    assert max(tables["same"]) < 0.99, "never two files of one work"
    assert tables == style.tables(made.vectors, made.works.tolist(), made.composers.tolist())
    with pytest.raises(FugatoError, match="two composers"):
        style.tables(made.vectors[:6], made.works[:6].tolist(), made.composers[:6].tolist())


def test_a_collection_is_read_with_copies_of_its_works(styled_folder: Path) -> None:
    corpus = load_corpus(styled_folder)[:6]
    made = style.prepare(corpus)
    assert len(made.pieces) == 6 and len(made.original) == 6, "notated, and every one its own work"
    assert made.vectors.shape == (12, 2 * SKETCH)
    own = (made.vectors[:6] * made.vectors[6:]).sum(axis=1)
    assert (own < 0.999).all() and (own > 0.2).all(), "as if played: the same music, not the same numbers"
