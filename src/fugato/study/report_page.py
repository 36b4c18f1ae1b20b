"""``report.md``: the figures as tables, and above each picture what can be read from it, said from the figures."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from fugato.study.figures import BEST, best_epoch, varied
from fugato.study.measure import Level

NAMED: Final = 20  # entries of a list that are named; report.json has them all
LONGEST: Final = 160  # characters of one of them
PAIRS: Final = 10  # confusions in the table
WRONG: Final = 10  # wrong answers in the table
FEW: Final = 5  # below so many, a class's figures say little
SURE: Final = 0.9  # precision, and probability, at which answers are called sure
SPOKEN: Final = {  # figure, what it is called
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy (mean recall)",
    "macro_f1": "macro F1",
    "macro_f1_occurring": "macro F1 of the names that occur",
    "weighted_f1": "weighted F1",
    "matthews": "Matthews correlation",
    "top_2_accuracy": "right name among the first 2",
    "top_3_accuracy": "right name among the first 3",
    "top_5_accuracy": "right name among the first 5",
    "macro_roc_auc": "ROC area, mean over names",
    "macro_average_precision": "average precision, mean over names",
    "micro_average_precision": "average precision, all names together",
    "ece": "expected calibration error",
    "log_loss": "log loss (nats)",
    "brier": "Brier score (0 to 2)",
    "majority_accuracy": "accuracy of always naming the commonest",
}


def page(
    values: Mapping[str, Any],
    levels: Sequence[Level],
    pictures: Mapping[str, str],
    runs: Mapping[str, Sequence[float]],
    trials: Sequence[Mapping[str, Any]],
) -> str:
    """The text of ``report.md``.

    Parameters
    ----------
    values : mapping
        Of report.json.
    levels : sequence of Level
        Pieces first.
    pictures : mapping
        File names.
    runs : mapping
        Training history by column; empty where there is none.
    trials : sequence of mappings
        Finished trials; empty where there are none.
    """
    lines = [f"# {_plain(values['title'])}", "", _summary(levels[0]), ""]
    lines += [f"> {_plain(remark)}\n>" for remark in values["remarks"][:-1]]
    lines += [f"> {_plain(remark)}" for remark in values["remarks"][-1:]] + [""]
    lines += _main_table(levels)
    for level in levels:
        lines += _level(level, pictures, heading=_heading(level, levels))
    if values["wrong"]:
        lines += _wrong(values["wrong"], levels[0])
    if runs:
        lines += ["## Learning curves", "", _learning(runs), "", _picture(pictures["learning"], "Learning curves"), ""]
    if trials:
        lines += _tuning(trials, len(values["trials"]), pictures["tuning"])
    lines += _left_out(values["left_out"])
    lines += ["## How this was measured", "", _method(levels, values), ""]
    return "\n".join(lines)


def _summary(level: Level) -> str:
    units, f = f"{level.unit}s", level.figures
    names = f"{len(level.present)} of the model's {len(level.labels)} names"
    if len(level.present) == len(level.labels):
        names = f"all {len(level.labels)} names of the model"
    commonest = level.labels[int(level.confusion.sum(axis=1).argmax())]
    text = (
        f"**Of {_count(level.n, level.unit)} from {_count(level.works, 'work')} under {names}, {_rate(f['accuracy'])} are answered "
        f"right{_interval(level, 'accuracy')}; each name counting alike, {_rate(f['balanced_accuracy'])}"
        f"{_interval(level, 'balanced_accuracy')}.**"
    )
    if len(level.present) == 1:
        return f"{text} All {units} stand under {commonest}, so that nothing can be said on telling names apart."
    return f"{text} Always answering {commonest} would be right for {_rate(f['majority_accuracy'])}."


def _main_table(levels: Sequence[Level]) -> list[str]:
    heads = [f"{level.unit}s, n = {level.n:,}" for level in levels]
    lines = [f"| | {' | '.join(heads)} |", "|---|" + "---:|" * len(levels)]
    for name, spoken in SPOKEN.items():
        if any(name in level.figures for level in levels):
            cells = [_figure(level.figures.get(name), level.intervals.get(name)) for level in levels]
            lines.append(f"| {spoken} | {' | '.join(cells)} |")
    return [*lines, ""]


def _heading(level: Level, levels: Sequence[Level]) -> str:
    if len(levels) == 1:
        return "Name by name"
    return f"By {level.unit}" + (f", the mean of its {levels[1].unit}s" if level is levels[0] else "")


def _level(level: Level, pictures: Mapping[str, str], heading: str) -> list[str]:
    units = f"{level.unit}s"
    lines = [f"## {heading}", ""]
    lines += _class_table(level)
    parts: list[tuple[str, list[str], str]] = [
        ("Confusion", ["confusion-counts", "confusion-rates"], _confusion(level)),
        ("ROC", ["roc"], _roc(level)),
        ("Precision and recall", ["precision-recall"], _precision_recall(level)),
        ("Calibration", ["calibration"], _calibration(level)),
        ("Confidence", ["confidence"], _confidence(level)),
    ]
    for title, names, text in parts:
        lines += [f"### {title}", "", text, ""]
        if title == "Confusion":
            lines += _pairs(level)
        for name in names:
            if f"{level.name}-{name}" in pictures:
                lines += [_picture(pictures[f"{level.name}-{name}"], f"{title} of the {units}"), ""]
    return lines


def _class_table(level: Level) -> list[str]:
    lines = [
        f"| name | {level.unit}s | answered | precision | recall | 95 % | F1 | ROC area | AP |",
        "|---|" + "---:|" * 8,
    ]
    absent = []
    for name, row in level.per_class.items():
        if not row["support"] and not row["answered"]:
            absent.append(name)
            continue
        interval = row["recall_interval"]
        spread = f"{interval[0]:.2f}–{interval[1]:.2f}" if interval else "–"
        numbers = [_number(row[key]) for key in ("precision", "recall", "f1", "roc_auc", "average_precision")]
        cells = [f"{row['support']:,}", f"{row['answered']:,}", *numbers[:2], spread, *numbers[2:]]
        lines.append(f"| {_cell(name)} | {' | '.join(cells)} |")
    lines.append("")
    if absent:
        lines += [f"Neither in the data nor answered: {_some(absent)}.", ""]
    few = [name for name, row in level.per_class.items() if 0 < row["support"] < FEW]
    if few:
        lines += [f"With fewer than {FEW} {level.unit}s, and so worth little: {_some(few)}.", ""]
    return lines


def _confusion(level: Level) -> str:
    names, which = _telling(level)
    recall = {name: float(level.per_class[name]["recall"]) for name in names}
    best, worst = max(recall, key=recall.__getitem__), min(recall, key=recall.__getitem__)
    pairs = level.confusions()
    if not pairs:
        return f"Every {level.unit} is answered right."
    taken, by, times, total = pairs[0]
    text = f"The commonest confusion: {taken} is taken for {by}, {_count(times, 'time')} out of {total:,}."
    if len(recall) > 1 and recall[best] > recall[worst]:
        text = (
            f"Best recognised{which} is {best} ({_rate(recall[best])} of the {level.unit}s), worst {worst} "
            f"({_rate(recall[worst])}). {text}"
        )
    return text


def _telling(level: Level) -> tuple[list[str], str]:
    """Names with pieces enough to be compared, and how to say so where that leaves some out."""
    occurring = [name for name, row in level.per_class.items() if row["support"]]
    enough = [name for name in occurring if level.per_class[name]["support"] >= FEW]
    if len(enough) < 2 or len(enough) == len(occurring):
        return occurring, ""
    return enough, f" (of names with {FEW} {level.unit}s or more)"


def _pairs(level: Level) -> list[str]:
    pairs = level.confusions()[:PAIRS]
    if len(level.seen) <= 4 or not pairs:
        return []
    lines = ["| true | answered | times | of |", "|---|---|---:|---:|"]
    return [*lines, *(f"| {_cell(a)} | {_cell(b)} | {n:,} | {total:,} |" for a, b, n, total in pairs), ""]


def _roc(level: Level) -> str:
    if level.macro_roc is None:
        return "Not defined: the data has one name only, and a curve needs something to be told from."
    names, which = _telling(level)
    ranked = sorted((curve for curve in level.roc if curve.label in names), key=lambda curve: -curve.value)
    text = (
        f"A {level.unit} under a name gets more of that name's probability than a {level.unit} under another in "
        f"{_rate(level.macro_roc.value)} of all pairs, on average over the names"
    )
    if ranked[0].value - ranked[-1].value < 5e-4:
        return f"{text}, and much the same for each of them."
    return (
        f"{text}; the easiest to tell{which} is {ranked[0].label} ({ranked[0].value:.3f}), the hardest {ranked[-1].label} "
        f"({ranked[-1].value:.3f})."
    )


def _precision_recall(level: Level) -> str:
    average = level.micro_precision_recall
    if average is None:
        return "Not defined: the data has one name only, and every answer with it is right."
    names, which = _telling(level)
    worst = min((curve for curve in level.precision_recall if curve.label in names), key=lambda curve: curve.value)
    reached = average.x[(average.y >= SURE) & (average.x > 0)]
    text = f"All names together, average precision is {_number(level.figures['micro_average_precision'])}"
    if len(reached):
        text += f", and claims can be kept {100 * SURE:.0f} % right while {_rate(float(reached.max()))} of the {level.unit}s are found"
    else:
        text += f"; no threshold keeps the claims {100 * SURE:.0f} % right"
    support = level.per_class[worst.label]["support"]
    return f"{text}. Lowest{which} is {worst.label} ({worst.value:.3f}, with {_count(support, level.unit)})."


def _calibration(level: Level) -> str:
    sure, right = float(level.confidence.mean()), float(level.figures["accuracy"] or 0.0)
    error = level.figures["ece"] or 0.0
    text = f"On average the answers are given {_rate(sure)} and {_rate(right)} of them are right: "
    low, high = level.intervals.get("accuracy", (right, right))
    if low <= sure <= high and low < high:
        text += "overall as sure as it is right, within the interval"
    elif sure > right:
        text += f"the model is surer than it should be, by {100 * (sure - right):.0f} points"
    elif sure < right:
        text += f"the model is less sure than it could be, by {100 * (right - sure):.0f} points"
    else:
        text += "exactly as sure as right"
    return f"{text}. Probability by probability the gap is {error:.3f} on average (expected calibration error)."


def _confidence(level: Level) -> str:
    right = level.answer == level.truth
    parts = []
    for chosen, word in ((right, "right"), (~right, "wrong")):
        if chosen.any():
            parts.append(
                f"half of the {word} answers are given {_rate(float(np.median(level.confidence[chosen])))} or more"
            )
    text = (", ".join(parts)).capitalize() + "."
    sure = level.confidence >= SURE
    if not sure.any():
        return f"{text} None is given {100 * SURE:.0f} % or more."
    share, hit = _rate(float(sure.mean())), _rate(float(right[sure].mean()))
    return f"{text} {share} are given {100 * SURE:.0f} % or more, and of those {hit} are right."


def _wrong(wrong: Sequence[Mapping[str, Any]], level: Level) -> list[str]:
    lines = [
        "## Surest of the wrong answers",
        "",
        f"Of {_count(len(wrong), level.unit)} answered wrongly, these the model was surest of: a wrong label in the data, if there is one, "
        "is most likely here.",
        "",
        f"| {level.unit} | true | answered | probability | of the true name |",
        "|---|---|---|---:|---:|",
    ]
    for row in wrong[:WRONG]:
        cells = [_cell(str(row[level.unit])), _cell(row["truth"]), _cell(row["answer"])]
        lines.append(f"| {' | '.join(cells)} | {_sure(row['probability'])} | {_sure(row['probability_of_truth'])} |")
    return [*lines, ""]


def _learning(runs: Mapping[str, Sequence[float]]) -> str:
    n, at = len(runs["epoch"]), best_epoch(runs)
    if at is None:
        return f"{n} epochs; nothing was held out, so that they do not show when to stop."
    epoch = f"epoch {runs['epoch'][at]:g}"
    if "valid_loss" not in runs:
        return f"Of {n} epochs the held-out accuracy is highest at {epoch} ({runs['valid_accuracy'][at]:.3f})."
    text = f"Of {n} epochs the held-out loss is lowest at {epoch} ({runs['valid_loss'][at]:.3f}"
    if "valid_accuracy" in runs:
        text += f", accuracy {runs['valid_accuracy'][at]:.3f}"
    rise = runs["valid_loss"][-1] - runs["valid_loss"][at]
    if at == n - 1:
        return f"{text}), which is the last: it may not have learnt all it could."
    if rise > 0.02 * abs(runs["valid_loss"][at]):
        return f"{text}) and {rise:.3f} higher at the end: from there on it learnt its own pieces by heart."
    return f"{text}) and hardly changes until the end."


def _tuning(trials: Sequence[Mapping[str, Any]], tried: int, picture: str) -> list[str]:
    ranked = sorted(trials, key=lambda trial: -trial["value"])
    names = varied(trials) or list(dict.fromkeys(name for trial in trials for name in trial["params"]))
    middle = float(np.median([trial["value"] for trial in trials]))
    text = (
        f"The best of {_count(len(trials), 'trial')} is number {ranked[0]['number']} with {ranked[0]['value']:.4f}"
        + (f"; half of them reach {middle:.4f}." if len(trials) > 1 else ".")
    )
    if tried > len(trials):
        text += f" {tried - len(trials):,} more were stopped early or failed."
    lines = ["## Tuning", "", text, "", _picture(picture, "Tuning"), ""]
    lines += [f"| trial | value | {' | '.join(map(_cell, names))} |", "|---:|---:|" + "---:|" * len(names)]
    for trial in ranked[:BEST]:
        given = [_setting(trial["params"].get(name)) for name in names]
        lines.append(f"| {trial['number']} | {trial['value']:.4f} | {' | '.join(given)} |")
    return [*lines, ""]


def _left_out(left_out: Mapping[str, Sequence[str]]) -> list[str]:
    if not any(left_out.values()):
        return []
    lines = ["## Not in the figures", ""]
    for reason, names in left_out.items():
        if names:
            lines += [f"**{_plain(reason)} ({len(names):,}):** {_some([_plain(name) for name in names])}.", ""]
    return lines


def _method(levels: Sequence[Level], values: Mapping[str, Any]) -> str:
    text = (
        "Precision, recall, F1, curves and areas are scikit-learn's; a curve of one name takes all others as negatives. "
        f"Intervals are 95 %, from {values['bootstrap']['n']:,} resamples in which whole works are drawn with "
        "replacement, since editions and movements of one work are not independent; a recall's interval draws the works "
        "of its name. "
    )
    if levels[0].works < 2:
        text = text.replace("Intervals are", "There are no intervals here, for lack of a second work; they would be")
    if len(levels) > 1:
        own = values["pieces_by"] != "mean over windows"
        text += f"The answer to a {levels[0].unit} is the mean of its {levels[1].unit}s' probabilities" + (
            f", calibrated as the model does it; those of its {levels[1].unit}s stand as they are. " if own else ". "
        )
    if values["about"].get("order"):
        text += f"The confusion matrix has the names by {values['about']['order']}. "
    return text + "Every number on this page, and the points of the curves, are in report.json."


# -- words -------------------------------------------------------------------------------------------------------------


def _rate(value: float | None) -> str:
    if value is None:
        return "–"
    percent = 100 * value
    return f"{percent:.1f} %" if percent not in (0.0, 100.0) else f"{percent:.0f} %"


def _interval(level: Level, name: str) -> str:
    if name not in level.intervals:
        return ""
    low, high = level.intervals[name]
    return f" ({100 * low:.1f} to {100 * high:.1f})"


def _figure(value: float | None, interval: tuple[float, float] | None) -> str:
    if value is None:
        return "–"
    return f"{value:.3f}" + (f" [{interval[0]:.3f}, {interval[1]:.3f}]" if interval else "")


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _sure(probability: float) -> str:
    """Two decimals, and never 0 or 1 for what is not certain."""
    if 0.995 <= probability < 1:
        return ">0.99"
    return "<0.01" if 0 < probability < 0.005 else f"{probability:.2f}"


def _setting(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else _cell(str(value))


def _count(n: int, unit: str) -> str:
    return f"{n:,} {unit}" + ("" if n == 1 else "s")


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(textwrap.shorten(_plain(name), LONGEST, placeholder=" …") for name in names[:NAMED])
    return shown + (f" and {len(names) - NAMED:,} more" if len(names) > NAMED else "")


def _picture(file: str, alt: str) -> str:
    return f"![{alt}]({file})"


def _cell(text: str) -> str:
    return _plain(text).replace("|", "\\|")


def _plain(text: str) -> str:
    """On one line, whatever a file name holds."""
    return " ".join(str(text).split())
