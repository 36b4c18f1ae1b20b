"""A genre model asked about a labelled collection of recordings: what a report is written from."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fugato import metrics
from fugato.corpus.sounds import Clip, load_sounds
from fugato.errors import FugatoError
from fugato.genre import genre_many
from fugato.models import load_model
from fugato.study.measure import sklearn_metrics
from fugato.study.predict import records_of
from fugato.study.report import Predictions, Report, check_folder, report

Progress = Callable[[str, int, int], None]


def report_genres(
    model: str | os.PathLike[str],
    data: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    jobs: int = 2,
    resamples: int = 1000,
    random_seed: int = 0,
    progress: Progress | None = None,
) -> Report:
    """Ask a genre model about every recording of a labelled collection and write the report.

    Parameters
    ----------
    model : str or path
        Of the task "genre".
    data : path
        Whatever `fugato.corpus.sounds.load_sounds` takes.
    out, jobs, resamples, random_seed, progress
        As `fugato.study.predict.report_model`.

    Raises
    ------
    FugatoError
        ``no-model``, ``bad-model``; ``bad-data`` where nothing of the collection can be judged; ``bad-output``.
    """
    sklearn_metrics()
    folder = check_folder(out)
    found = load_model(model)
    sounds = load_sounds(data)
    labels = list(found.labels)
    known = [clip for clip in sounds.clips if clip.genre in set(labels)]
    strangers = Counter(clip.genre for clip in sounds.clips if clip.genre not in set(labels))
    if not known:
        raise FugatoError(
            "bad-data",
            f"None of its {len(sounds):,} recordings is of a genre that the model knows: it knows {', '.join(labels)}.",
            sounds.name,
        )
    rows: list[NDArray[np.float64]] = []
    windows: list[NDArray[np.float64]] = []
    judged: list[Clip] = []
    failed: list[tuple[Clip, str]] = []
    refused = 0
    for done, (clip, answer) in enumerate(
        zip(known, genre_many([clip.path for clip in known], model=model, jobs=jobs), strict=True), 1
    ):
        if "error" in answer:
            failed.append((clip, answer["error"]["kind"]))
        else:
            rows.append(_row(answer["ranking"], labels))
            windows.append(np.stack([_row(part["ranking"], labels) for part in answer["timeline"]]))
            judged.append(clip)
            refused += not answer["known"]
        if progress is not None:
            progress("asking the model", done, len(known))
    if not judged:
        kinds = ", ".join(f"{n} {kind}" for kind, n in Counter(kind for _, kind in failed).most_common())
        raise FugatoError("bad-data", f"None of its {len(known):,} recordings could be judged ({kinds}).", sounds.name)
    predictions = Predictions(
        labels,
        metrics.encode([clip.genre for clip in judged], labels),
        np.concatenate(windows),
        groups=[clip.group or clip.id for clip in judged],
        piece_of_window=np.repeat(np.arange(len(judged)), [len(part) for part in windows]),
        answers=np.stack(rows),
        pieces=[clip.id for clip in judged],
        unit="recording",
        window="stretch",
    )
    remarks = [
        f"{refused:,} of {len(judged):,} recordings were called none of these.",
        "If the model has learnt from recordings of this collection, these figures flatter it.",
    ]
    left_out: dict[str, list[str]] = {}
    for clip, kind in failed:
        left_out.setdefault(kind, []).append(clip.id)
    for genre, n in strangers.most_common():
        left_out.setdefault("of genres that the model does not know", []).append(f"{genre} ({n})")
    return report(
        predictions,
        folder,
        title=f"The model {found.card.name} on {sounds.name or 'a collection'}",
        remarks=remarks,
        left_out=left_out,
        about={
            "model": {"name": found.card.name, "version": found.card.version, "recipe": found.card.recipe},
            "data": {"name": sounds.name, "recordings": len(sounds), "judged": len(judged)},
            "unreadable": len(failed),
        },
        history=records_of(found, "history"),
        trials=records_of(found, "trials"),
        resamples=resamples,
        random_seed=random_seed,
    )


def _row(ranking: list[dict[str, Any]], labels: list[str]) -> NDArray[np.float64]:
    """Probabilities in the order of the labels; rounded ones are made to sum to 1 again."""
    given = {guess["name"]: guess["probability"] for guess in ranking}
    row = np.array([given.get(label, 0.0) for label in labels])
    out: NDArray[np.float64] = row / row.sum()
    return out
