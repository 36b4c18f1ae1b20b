"""What a model answers on a labelled collection, and the report on it.

Files are read and judged in worker processes; what comes back of each is one row of probabilities a window, and nothing else is kept.
Pieces by composers that the model does not know are in no figure but one: how often the model, asked, says "none of these".
"""

from __future__ import annotations

import io
import os
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from fugato import metrics
from fugato.composer.identify import judgeable
from fugato.composer.ngram_linear import RECIPE, NgramLinear
from fugato.composer.pooled import RECIPE as POOL
from fugato.corpus import Corpus, Piece, composer_info, load_corpus, work_groups
from fugato.corpus.corpus import split_ref
from fugato.errors import FugatoError
from fugato.models import Card, Model, load_model, softmax
from fugato.read import read_many
from fugato.read.files import Source
from fugato.score import Score
from fugato.study.measure import sklearn_metrics
from fugato.study.report import Predictions, Report, check_folder, report

NETWORK: Final = "network"  # the part of a model that answers by windows
THEN: Final = "fugato.study.predict:answer_windows"
STRANGERS: Final = 400  # pieces by composers it does not know that the model is asked about at most
SEED: Final = 0  # of their choice
LONGEST: Final = 60  # characters of a composer's name, which some collections fill with a preface
MAIN: Final = "balanced_accuracy"  # the figure of a card that is set beside the report's

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, eq=False)
class Answers:
    """What a model said of some pieces.

    Attributes
    ----------
    rows : list of int
        Places of the pieces that were answered.
    windows : list of ndarray of float32, shape=(n_windows, n_labels)
        Their windows' probabilities.
    pieces : list of ndarray of float32, shape=(n_labels,)
        The answer to each as a whole: the mean of its windows, calibrated.
    failed : dict of int to FugatoError
        Places of the others, and why.
    """

    rows: list[int]
    windows: list[NDArray[np.float32]]
    pieces: list[NDArray[np.float32]]
    failed: dict[int, FugatoError]


def report_model(
    model: str | os.PathLike[str],
    data: str | os.PathLike[str] | Corpus,
    out: str | os.PathLike[str],
    *,
    jobs: int = 2,
    resamples: int = 1000,
    random_seed: int = 0,
    progress: Progress | None = None,
) -> Report:
    """Ask a model about every piece of a labelled collection and write the report.

    Parameters
    ----------
    model : str or path
        A shipped or local model of the task "composer", or a model folder.
    data : path or Corpus
        Whatever `fugato.load_corpus` takes.
    out : path
        The folder of the report.
    jobs : int
        Reading processes.
    resamples, random_seed : int
        Of the bootstrap.
    progress : callable, optional
        Told (what is being done, pieces done, pieces in all) now and then.

    Raises
    ------
    FugatoError
        ``no-model``, ``bad-model``; ``bad-data`` where nothing of the collection can be judged; ``bad-option``; ``bad-output``. What
        can be refused without reading music is refused before.
    """
    if jobs < 1 or resamples < 1 or random_seed < 0:
        raise FugatoError("bad-option", f"jobs {jobs} and resamples {resamples} must be at least 1, random_seed 0.")
    sklearn_metrics()
    folder = check_folder(out)
    found = load_model(model)
    if found.card.task != "composer":
        raise FugatoError(
            "bad-option",
            f"Its task is {found.card.task}; this report is for models that name composers.",
            os.fspath(model),
        )
    corpus = load_corpus(data)
    labels = list(found.labels)
    known = Corpus((p for p in corpus if p.composer in set(labels)), corpus.name)
    strangers = [p for p in corpus if p.composer not in set(labels)]
    if not len(known):
        names = ", ".join(sorted(labels)[:8]) + (" …" if len(labels) > 8 else "")
        raise FugatoError(
            "bad-data",
            f"None of its {len(corpus):,} pieces is by a composer that the model knows: it knows {len(labels)} ({names}).",
            corpus.name,
        )
    drawn = _drawn(strangers)
    total = len(known) + len(drawn)
    answers = answer_all(found, known, jobs=jobs, progress=_counted(progress, 0, total))
    if not answers.rows:
        kinds = ", ".join(f"{n} {kind}" for kind, n in Counter(e.kind for e in answers.failed.values()).most_common())
        raise FugatoError("bad-data", f"None of its {len(known):,} pieces could be judged ({kinds}).", corpus.name)
    refused = answer_all(found, Corpus(drawn), jobs=jobs, progress=_counted(progress, len(known), total))
    judged = Corpus((known[i] for i in answers.rows), corpus.name)
    predictions = Predictions(
        labels,
        metrics.encode(judged.labels, labels),
        np.concatenate(answers.windows),
        groups=_works(judged, jobs, progress),
        piece_of_window=_owners(answers.windows),
        answers=np.stack(answers.pieces),
        pieces=_names(judged),
    )
    remarks = [
        *_seen(found.card, judged, predictions),
        *_held_out(found.card),
        *_none_of_these(found.card, predictions.piece_probabilities, refused, strangers),
    ]
    return report(
        predictions,
        folder,
        title=f"The model {found.card.name} on {_collection(corpus)}",
        remarks=remarks,
        left_out=_left_out(known, answers, strangers, corpus),
        about={
            "model": {"name": found.card.name, "version": found.card.version, "recipe": found.card.recipe},
            "data": {"name": corpus.name, "pieces": len(corpus), "judged": len(judged)},
            "order": "year of birth",
            "unreadable": len(answers.failed),
            "unknown_composers": {"composers": len({p.composer for p in strangers}), "pieces": len(strangers)},
        },
        order=sorted(labels, key=_birth),
        history=records_of(found, "history"),
        trials=records_of(found, "trials"),
        resamples=resamples,
        random_seed=random_seed,
    )


def answer_all(
    model: Model, corpus: Corpus, *, jobs: int = 2, progress: Callable[[int], None] | None = None
) -> Answers:
    """The probabilities of every window of every piece.

    Parameters
    ----------
    model : Model
    corpus : Corpus
    jobs : int
        Reading processes.
    progress : callable, optional
        Told the pieces done after each.
    """
    folder = str(model.folder.absolute())
    predictor(folder)  # a model that cannot answer is refused once, not for every file
    found = Answers([], [], [], {})
    asked: list[int] = []

    def sources() -> Iterator[Source]:
        for place, piece in enumerate(corpus):
            try:
                source = _source(corpus, piece)
            except FugatoError as error:
                found.failed[place] = error
                continue
            asked.append(place)
            yield source

    for number, item in enumerate(read_many(sources(), jobs=jobs, then=THEN, options={"model": folder})):
        place = asked[number]
        if isinstance(item.result, FugatoError):
            found.failed[place] = item.result
        elif isinstance(item.result, bytes):
            found.rows.append(place)
            data = io.BytesIO(item.result)
            found.windows.append(np.load(data, allow_pickle=False))
            found.pieces.append(np.load(data, allow_pickle=False))
        if progress is not None:
            progress(number + 1)
    return found


def answer_windows(score: Score, *, name: str, sha256: str, model: str) -> bytes:
    """Window probabilities and the answer to a piece in NumPy's format, for `fugato.read.read_many` to call in a worker process."""
    table, piece = predictor(model)(score, name)
    out = io.BytesIO()
    for array in (table, piece):
        np.save(out, np.asarray(array, np.float32), allow_pickle=False)
    return out.getvalue()


@lru_cache(maxsize=2)
def predictor(folder: str) -> Callable[[Score, str], tuple[NDArray[Any], NDArray[Any]]]:
    """What gives, for a score and its name, the probabilities of its windows and of the piece as `fugato.identify` answers it.

    Raises
    ------
    FugatoError
        ``bad-model`` for a recipe that this version cannot ask.
    """
    model = load_model(folder)
    if model.card.recipe == POOL:
        return _pooled(model)
    if model.has(NETWORK):
        return _network(model)
    if model.card.recipe != RECIPE:
        raise FugatoError(
            "bad-model", f"Its recipe {model.card.recipe!r} is not known to this version of Fugato.", folder
        )
    linear = NgramLinear(model)

    def whole(score: Score, name: str) -> tuple[NDArray[Any], NDArray[Any]]:
        given = linear.probabilities(linear.logits(judgeable(score, name)))
        return given[None, :], given

    return whole


def _network(model: Model) -> Callable[[Score, str], tuple[NDArray[Any], NDArray[Any]]]:
    from fugato.composer.window_network import WindowNetwork, piece_logits

    network = WindowNetwork(model)

    def windows(score: Score, name: str) -> tuple[NDArray[Any], NDArray[Any]]:
        judgeable(score, name)
        given = network.window_probabilities(network.table(score))
        return given, softmax(piece_logits(given), network.temperature)

    return windows


def _pooled(model: Model) -> Callable[[Score, str], tuple[NDArray[Any], NDArray[Any]]]:
    from fugato.composer.pooled import PooledModel

    both = PooledModel(model)

    def whole(score: Score, name: str) -> tuple[NDArray[Any], NDArray[Any]]:
        given = softmax(both.judged(score, judgeable(score, name))[0])
        return given[None, :], given

    return whole


class _Member(io.BytesIO):
    """Bytes of an archive's member that keep its name, whose suffix helps where the bytes leave the format open."""

    name: str = ""


def _source(corpus: Corpus, piece: Piece) -> Source:
    if not split_ref(piece.path)[1]:
        return piece.path
    source = _Member(corpus.open(piece))
    source.name = piece.path
    return source


def _owners(windows_of: Sequence[NDArray[np.float32]]) -> NDArray[np.int64] | None:
    """The piece of each window; None where every piece has one."""
    counts = [len(w) for w in windows_of]
    return None if set(counts) == {1} else np.repeat(np.arange(len(counts)), counts)


def _works(judged: Corpus, jobs: int, progress: Progress | None) -> list[str]:
    groups = judged.groups
    if all(groups):
        return [group or "" for group in groups]

    def tell(done: int, total: int) -> None:
        if progress is not None:
            progress("telling works apart", done, total)

    return work_groups(judged, jobs=jobs, progress=tell)


def _counted(progress: Progress | None, before: int, total: int) -> Callable[[int], None] | None:
    return None if progress is None else lambda done: progress("asking the model", before + done, total)


def _drawn(strangers: Sequence[Piece]) -> list[Piece]:
    """At most `STRANGERS` of them, drawn evenly."""
    if len(strangers) <= STRANGERS:
        return list(strangers)
    chosen = np.random.default_rng(SEED).choice(len(strangers), STRANGERS, replace=False)
    return [strangers[i] for i in np.sort(chosen)]


def _names(pieces: Sequence[Piece]) -> list[str]:
    """Paths below the folder that all of them lie in, which is more telling than an id and says nothing of the machine."""
    parts = [piece.path.replace(os.sep, "/").split("/") for piece in pieces]
    shortest = min(map(len, parts)) - 1
    same = next((i for i in range(shortest) if len({p[i] for p in parts}) > 1), shortest)
    return ["/".join(p[same:]) for p in parts]


def _cut(name: str) -> str:
    return name if len(name) <= LONGEST else f"{name[: LONGEST - 1].rstrip()}…"


def _collection(corpus: Corpus) -> str:
    name = os.path.basename(corpus.name.rstrip("/\\"))
    parent = os.path.basename(os.path.dirname(corpus.name.rstrip("/\\")))
    return f"{parent}/{name}" if name == "index.csv" and parent else name or "a collection"


def _birth(label: str) -> tuple[int, str]:
    info = composer_info(label)
    return (info.birth if info is not None and info.birth is not None else 9999, label)


def records_of(model: Model, name: str) -> list[dict[str, Any]]:
    """A part that is a list of objects; empty where there is none."""
    if not model.has(name):
        return []
    content = model.json(name)
    if not isinstance(content, list) or not all(isinstance(entry, dict) for entry in content):
        raise FugatoError("bad-model", f"Its part {name!r} is no list of objects.", str(model.folder))
    return content


# -- what a reader must know -------------------------------------------------------------------------------------------


def _seen(card: Card, judged: Corpus, predictions: Predictions) -> list[str]:
    """Whether the model learnt from these pieces, as far as its card tells, and how it does on the works of which it saw nothing."""
    names = {str(corpus.get("name")) for corpus in card.corpora} - {"folder", "None"}
    barred = set(card.made.get("without") or ())
    met = np.array(
        [p.corpus in names and p.corpus not in barred and f"{p.corpus}:{p.domain}" not in barred for p in judged]
    )
    judged_corpora = [p.corpus for p in judged]
    if met.any():
        corpora = ", ".join(sorted({p.corpus for p, seen in zip(judged, met, strict=True) if seen}))
        text = (
            f"The model learnt from collections that {int(met.sum()):,} of these {len(judged):,} pieces come from ({corpora}): "
            "their figures are flattering, and say nothing on music it has not seen."
        )
        groups = predictions.piece_groups
        new = ~np.isin(groups, groups[met])
        if new.any():
            truth, answer = predictions.piece_truth[new], predictions.piece_probabilities[new].argmax(axis=1)
            right = metrics.bootstrap_interval(metrics.accuracy, truth, answer, groups=groups[new])
            even = metrics.bootstrap_interval(metrics.balanced_accuracy, truth, answer, groups=groups[new])
            text += (
                f" Of the {len(truth):,} pieces whose works are not among those, {_between(right)} are answered right; each name "
                f"counting alike, {_between(even)}."
            )
            if elsewhere := sorted(names - set(judged_corpora)):
                text += f" Its other collections ({', '.join(elsewhere)}) may hold some of these works, so that this too may flatter."
        return [text]
    if names and all(p.corpus for p in judged):
        return [
            "By its card the model learnt from other collections than these; the same works may still stand in both, which makes "
            "figures flattering."
        ]
    return [
        "The model's card does not tell whether it learnt from these pieces. If it did, all that follows is flattering: a model is worth "
        "what it says of works it has not seen."
    ]


def _between(figure: metrics.Interval) -> str:
    return f"{100 * figure.value:.1f} % ({100 * figure.low:.1f} to {100 * figure.high:.1f})"


def _held_out(card: Card) -> list[str]:
    """The card's own figure on works that were held out."""
    for figure in card.figures:
        if figure.get("name") == MAIN and isinstance(figure.get("value"), float):
            spread = figure.get("interval")
            between = f" ({100 * spread[0]:.1f} to {100 * spread[1]:.1f})" if spread else ""
            return [
                f"When it was made, it was judged on works held out: balanced accuracy {100 * figure['value']:.1f} %{between}, "
                f"{figure.get('protocol', 'protocol not said')}. Much more than that here means that it knows these pieces."
            ]
    return []


def _none_of_these(card: Card, table: NDArray[np.float64], refused: Answers, strangers: Sequence[Piece]) -> list[str]:
    """How "none of these" is told, over pieces by composers that the model does not know."""
    threshold = card.calibration.get("known_threshold")
    if not refused.pieces or not isinstance(threshold, float):
        return []
    ours = table.max(axis=1)
    others = np.array([piece.max() for piece in refused.pieces])
    area = metrics.unknown_auroc(np.repeat([True, False], [len(ours), len(others)]), np.concatenate([ours, others]))
    count = f"{len(others):,} pieces" + ("" if len(others) == len(strangers) else f", drawn from {len(strangers):,},")
    return [
        f"Asked about {count} by composers that it does not know, the model says “none of these” of "
        f"{100 * float((others < threshold).mean()):.0f} %; of the pieces by those it knows, of "
        f"{100 * float((ours < threshold).mean()):.0f} %. A piece by a known composer is the surer one in {100 * area:.0f} % of "
        "all pairs (area under the ROC curve)."
    ]


def _left_out(known: Corpus, answers: Answers, strangers: Sequence[Piece], corpus: Corpus) -> dict[str, list[str]]:
    out: dict[str, list[str]] = {}
    if strangers:
        counts = Counter(p.composer for p in strangers).most_common()
        out[f"Composers that the model does not know, with {len(strangers):,} pieces"] = [
            f"{_cut(c)} ({n})" for c, n in counts
        ]
    by_kind: dict[str, list[str]] = defaultdict(list)
    names = _names(known)
    for place, error in sorted(answers.failed.items()):
        by_kind[error.kind].append(f"{names[place]}: {error.message}")
    for kind, found in sorted(by_kind.items(), key=lambda item: -len(item[1])):
        out[f"Files that could not be judged, {kind}"] = found
    if corpus.skipped:
        out["Passed over in the collection"] = [
            f"{os.path.basename(path)} ({reason})" for path, reason in corpus.skipped
        ]
    return out
