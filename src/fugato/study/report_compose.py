"""A report on a model that composes: how well it foretells the pieces of a collection, composer by composer, and what it writes after them.

Where the collection is the one that it has learnt from, the works that it left out are judged, else all. It needs the extra ``train``.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from fugato.compose import Generator, NoteLikelihood, load_generator
from fugato.compose.request import joined
from fugato.compose.transformer import Transformer
from fugato.errors import FugatoError
from fugato.study import figures
from fugato.study.compose_seeds import LEAST, SEED_BARS
from fugato.study.compose_systems import has_learnt, known_style
from fugato.study.foretell import NOTES, Held, beginning, foretold, nats_a_note, parts_a_note, score_of
from fugato.study.report import _clear, _written, check_folder
from fugato.train import phrases as ph
from fugato.train.compose import chosen_pieces
from fugato.write import write
from fugato.write.picture import plot_score

EXAMPLES: Final = 3
BARS: Final = 16  # of an example
NAMED: Final = 40  # composers in the table; report.json has them all
DRAWS: Final = 1000

Progress = Callable[[str, int, int], None]


class ComposeReport(NamedTuple):
    """A report that was written: its folder, and the contents of report.json."""

    folder: Path
    values: dict[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return self.values


def report_compose(
    model: str | os.PathLike[str],
    data: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    notes: int = NOTES,
    jobs: int = 2,
    random_seed: int = 0,
    progress: Progress | None = None,
) -> ComposeReport:
    """Measure how well a model foretells the pieces of a collection, let it go on from some, and write the report.

    Parameters
    ----------
    model : str or path
        A model of the task "compose".
    data : path
        As `fugato.train.compose.train_compose`.
    out : path
        The folder of the report: ``report.md``, ``report.json``, ``learning.png``, and the examples as MIDI and pictures.
    notes : int
        Of the beginning of each piece that are foretold, at most.
    jobs : int
        Reading processes.
    random_seed : int
        Of the examples.
    progress : callable, optional
        Told (what is being done, pieces done, pieces in all).

    Raises
    ------
    FugatoError
        ``no-model``, ``bad-model``; ``bad-data``, ``bad-output``, ``bad-option``.
    """
    if notes < 1 or jobs < 1 or random_seed < 0:
        raise FugatoError("bad-option", f"notes {notes} and jobs {jobs} must be at least 1, random_seed 0.")
    folder = check_folder(out)
    system = load_generator(model)
    card = system.model.card
    with tempfile.TemporaryDirectory() as place:
        phrases = _phrases(data, Path(place), int(card.made.get("random_seed", 0)), jobs, progress)
        learnt = has_learnt(card, phrases)
        part = "test" if len(phrases.of("test")) else "valid"
        judged = phrases.of(part).tolist() if learnt else list(range(len(phrases.pieces)))
        held = [
            Held(beginning(score_of(phrases, i), notes), phrases.pieces[i]["composer"], phrases.pieces[i]["group"])
            for i in judged
        ]
        tell = None if progress is None else (lambda done, total: progress("foretelling", done, total))
        told = foretold(system, held, progress=tell)
        plain = foretold(system, held, styled=False) if isinstance(system, Transformer) else None
        with _written(folder):
            folder.mkdir(parents=True, exist_ok=True)
            _clear(folder)
            values = {
                "title": f"The model {card.name} on {Path(data).name}",
                "about": {
                    "model": {"name": card.name, "version": card.version, "recipe": card.recipe},
                    "data": {"name": Path(data).name, "pieces": len(phrases.pieces), "judged": len(held)},
                    "unreadable": sum(n for reason, n in phrases.left_out.items() if not reason.startswith("another")),
                },
                "remarks": _remarks(system, phrases, judged, learnt, part),
                "notes": notes,
                "all": _figure(told, plain, held),
                "composers": _by_composer(told, plain, held),
                "left_out": {reason: n for reason, n in phrases.left_out.items() if n},
                "history": _history(system),
                "examples": _examples(system, phrases, judged, folder, random_seed),
            }
            values["pictures"] = _pictures(values, folder)
            (folder / "report.md").write_text(page(values), encoding="utf-8")
            (folder / "report.json").write_text(json.dumps(values, indent=1) + "\n", encoding="utf-8")
    return ComposeReport(folder, values)


def _phrases(data: Any, place: Path, seed: int, jobs: int, progress: Progress | None) -> ph.Phrases:
    if (Path(data) / "phrases.json").is_file():
        return ph.load(data, seed=seed)
    tell = None if progress is None else (lambda done, total: progress("reading", done, total))
    return ph.prepare(chosen_pieces(data, jobs=jobs), place / "phrases", seed=seed, jobs=jobs, progress=tell)


def _remarks(system: Generator, phrases: ph.Phrases, judged: Sequence[int], learnt: bool, part: str) -> list[str]:
    card = system.model.card
    if learnt:
        held = {"test": "judged by", "valid": "stopped by"}[part]
        return [
            f"It has learnt from this collection: the figures are of the works that it was {held} alone, {len(judged)} of its pieces."
        ]
    known = system.works if isinstance(system, Transformer) else []
    titles = {(title, composer) for title, composer in known if title}
    same = sum((phrases.pieces[i]["title"], phrases.pieces[i]["composer"]) in titles for i in judged)
    said = [
        f"The model {card.name} has learnt from another collection, or from other parts of this one; all pieces are in the figures."
    ]
    if same:
        said.append(
            f"{same} of the {len(judged)} pieces have a title that it has learnt: on those it is better than on new music."
        )
    return said


def _figure(
    told: Sequence[NoteLikelihood], plain: Sequence[NoteLikelihood] | None, held: Sequence[Held]
) -> dict[str, Any]:
    works = [h.work for h in held]
    found = nats_a_note(told, works, draws=DRAWS)
    out = {
        "pieces": len(held),
        "works": len(set(works)),
        "notes": sum(f.notes for f in told),
        "nats": round(found.value, 4),
        "interval": [round(found.low, 4), round(found.high, 4)],
        "by": {name: round(value, 4) for name, value in parts_a_note(told).items()},
    }
    if plain is not None:
        out["nats_without_style"] = round(nats_a_note(plain, works, draws=1).value, 4)
    return out


def _by_composer(
    told: Sequence[NoteLikelihood], plain: Sequence[NoteLikelihood] | None, held: Sequence[Held]
) -> dict[str, dict[str, Any]]:
    """The figures of each composer, the one with most pieces first."""
    rows: dict[str, list[int]] = defaultdict(list)
    for i, piece in enumerate(held):
        rows[piece.composer].append(i)
    return {
        name: _figure(
            [told[i] for i in own], None if plain is None else [plain[i] for i in own], [held[i] for i in own]
        )
        for name, own in sorted(rows.items(), key=lambda item: (-len(item[1]), item[0]))
    }


def _history(system: Generator) -> dict[str, list[dict[str, Any]]]:
    """Training histories by what was trained, each with the columns that `figures.learning` draws."""
    if not system.model.has("history"):
        return {}
    found = system.model.json("history")
    parts: Mapping[str, Any] = found if isinstance(found, dict) else {"network": found}
    out = {}
    for name, rows in parts.items():
        out[name] = [
            {
                "epoch": row.get("epoch", row.get("step")),
                "train_loss": row.get("train_loss", row.get("loss")),
                "valid_loss": row.get("valid_nll", row.get("held_out")),
            }
            for row in rows
        ]
    return out


def _examples(
    system: Generator, phrases: ph.Phrases, judged: Sequence[int], folder: Path, seed: int
) -> list[dict[str, Any]]:
    """Pieces that go on from the beginnings of judged ones, each of another composer as far as there are any."""
    made: list[dict[str, Any]] = []
    for piece, opening in _seeds(phrases, judged):
        about = phrases.pieces[piece]
        style = known_style(system, about["composer"])
        new = system.generate(opening, bars=BARS, random_seed=seed, style=style)
        whole = joined(opening, new)
        start = float(opening.bars[-1]) + opening.meters[-1].bar_length
        name = f"example-{len(made) + 1}"
        write(whole, folder / f"{name}.mid")
        plot_score(whole, folder / f"{name}.png", new=whole.notes["onset"] >= start - 1e-6)
        made.append(
            {
                "seed": about["title"] or about["id"],
                "composer": about["composer"],
                "style": style,
                "bars": BARS,
                "random_seed": seed,
                "midi": f"{name}.mid",
                "picture": f"{name}.png",
            }
        )
        if len(made) == EXAMPLES:
            break
    return made


def _seeds(phrases: ph.Phrases, judged: Sequence[int]) -> Iterator[tuple[int, Any]]:
    """The first bars of pieces that are long enough, those of a composer who has had no turn first."""
    later = []
    heard = set()
    for piece in judged:
        score = score_of(phrases, piece)
        opening = score.excerpt(0, min(SEED_BARS, len(score.bars)) - 1)
        if len(opening) < LEAST["seed"]:
            continue
        if phrases.pieces[piece]["composer"] in heard:
            later.append((piece, opening))
            continue
        heard.add(phrases.pieces[piece]["composer"])
        yield piece, opening
    yield from later


def _pictures(values: dict[str, Any], folder: Path) -> dict[str, str]:
    pictures = {}
    for name, rows in values["history"].items():
        runs = figures.epochs(rows)
        if runs:
            file = "learning.png" if name == "network" else f"learning-{name}.png"
            pictures[f"learning {name}"] = figures.save(figures.learning(runs), folder / file)
    return pictures


def page(values: Mapping[str, Any]) -> str:
    """The text of ``report.md``."""
    every = values["all"]
    low, high = every["interval"]
    lines = [f"# {values['title']}", ""]
    lines += [
        f"It foretells {every['notes']:,} notes of {every['pieces']} pieces ({every['works']} works) with "
        f"**{every['nats']:.2f}** nats a note, "
        f"95 % interval over works [{low:.2f}, {high:.2f}]. The lower, the less the music surprises it; one nat less is music "
        "that it thinks 2.7 times as likely, note by note.",
        "",
    ]
    lines += [f"> {remark}" for remark in values["remarks"]] + [""]
    heads = ["composer", "pieces", "works", "nats a note", "95 %", *every["by"]]
    without = "nats_without_style" in every
    heads += ["without the style"] if without else []
    lines += [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    rows = [("all", every), *list(values["composers"].items())[:NAMED]]
    for name, row in rows:
        cells = [name, str(row["pieces"]), str(row["works"]), f"{row['nats']:.2f}"]
        cells += [f"{row['interval'][0]:.2f} to {row['interval'][1]:.2f}" if row["works"] > 1 else "one work"]
        cells += [f"{value:.2f}" for value in row["by"].values()]
        cells += [f"{row['nats_without_style']:.2f}"] if without else []
        lines.append(f"| {' | '.join(cells)} |")
    if len(values["composers"]) > NAMED:
        lines.append(f"\nreport.json has the other {len(values['composers']) - NAMED} composers.")
    if without:
        lines += ["", "Without the style it is not told who wrote the piece: the difference is what his name tells it."]
    if values["pictures"]:
        lines += ["", "## Learning", ""]
        lines += [f"![{name}]({file})\n" for name, file in values["pictures"].items()]
    if values["examples"]:
        lines += [
            "",
            "## Examples",
            "",
            f"After the first bars of pieces that are judged above, {BARS} new ones (blue).",
            "",
        ]
        for example in values["examples"]:
            style = f"in the style of {example['style']}" if example["style"] else "in no style that it knows"
            lines += [
                f"[{example['seed']} ({example['composer']})]({example['midi']}), {style}, random seed {example['random_seed']}",
                "",
            ]
            lines += [f"![{example['seed']}]({example['picture']})", ""]
    if values["left_out"]:
        lines += ["", "## Left out", ""]
        lines += [f"- {n} ({reason})" for reason, n in values["left_out"].items()]
    lines += ["", "## How this was measured", ""]
    lines.append(
        f"The first {values['notes']} notes of each piece at most, on a grid of twelfths of a quarter note, each foretold from those "
        "before it: "
        "when it starts, how high it is, how long. Copies of one piece count once."
    )
    return "\n".join(lines) + "\n"
