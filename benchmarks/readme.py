"""Write the tables of README.md and WEIGHTS.md from the JSON under benchmarks/results and the cards of the shipped models.

python benchmarks/readme.py
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from keras_speed import table as keras_table

from fugato.models import list_models
from fugato.study import compose_table
from fugato.study.benchmark_genre import markdown as genre_table
from fugato.study.benchmark_table import markdown

COMPOSED = (  # rows of the table in README.md
    "nats a note",
    "pieces that loop",
    "overlap with real music",
    "its composer named, of 8",
    "pieces with more than",
    "ends on a cadence",
    "times faster",
)

SCORES_ALONE = "1.5.0"  # version of the recipe of the panel that panel_scores.json is of

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"


def load(name: str) -> dict[str, Any]:
    """One result file."""
    found: dict[str, Any] = json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))
    return found


def figure(block: dict[str, Any], key: str = "balanced_accuracy") -> str:
    """``0.912 [0.89, 0.93]``"""
    low, high = block["intervals"][key]
    return f"{block[key]:.3f} [{low:.3f}, {high:.3f}]"


def panel_figure(block: dict[str, Any]) -> str:
    """The same of a block of benchmarks/panel.py."""
    low, high = block["balanced_accuracy interval"]
    return f"{block['balanced_accuracy']:.3f} [{low:.3f}, {high:.3f}]"


def heard_together() -> str:
    """What n-grams, network and both are worth."""
    panel = load("panel")
    blocks = {
        "scores, whole": panel["scores"],
        **{f"{bars} bars of them": panel["excerpts"][bars] for bars in panel["excerpts"]},
        "performances": panel["performances"],
        **{f"{seconds} of them": found for seconds, found in panel["excerpts of performances"].items()},
    }
    rows = [
        f"| {what} | {found['together']['pieces']:,} / {found['together']['works']:,} | "
        + " | ".join(panel_figure(found[name]) for name in ("ngram-linear", "onset-cnn", "together"))
        + f" | {found['together']['top_3_accuracy']:.3f} | {found['together']['ece']:.3f} |"
        for what, found in blocks.items()
    ]
    unknown = panel["unknown"]
    shipped, alone = unknown["as shipped"], unknown["highest probability alone"]
    return (
        f"{panel['composers']} composers, works that neither has seen; balanced accuracy with its 95 % interval over works:\n\n"
        "| asked about | pieces / works | n-grams alone | network alone | together | among the first three | calibration error |\n"
        "|---|---|---|---|---|---|---|\n"
        + "\n".join(rows)
        + f"\n\nOf {unknown['pieces']} pieces by composers that it does not know, "
        f"{shipped['unknown refused']:.0%} are called unknown, and "
        f"{shipped['known accepted']:.0%} of pieces by those that it does know are not "
        f"(area under the ROC curve {shipped['auroc']:.2f}; by the highest probability alone "
        f"{alone['auroc']:.2f}). Made by `python benchmarks/panel.py`.\n"
    )


def results() -> str:
    """The table of honest results."""
    classics, shipped, speed = load("composers_classics"), load("composers_shipped"), load("speed")
    rows = []
    blocks = [
        (f"{what}, {labels}", classics[name][labels])
        for name, what in (("four", "4 composers of one collection, 10-fold"), ("eighteen", "its 18 composers, 5-fold"))
        for labels in ("labels as filed", "labels corrected by the audit")
    ]
    blocks += [("the nine composers, 8-fold", load("composers_nine"))]
    for what, block in blocks:
        rows.append(
            f"| {what} | {block['pieces']:,} / {block['works']:,} | {figure(block['grouped'])} "
            f"| {block['grouped']['macro_f1']:.3f} | {figure(block['random'])} | {block['majority_accuracy']:.3f} |"
        )
    for what, name in (
        ("the 18 composers, 5-fold, labels as filed, n-grams and a network together", "composers_eighteen"),
        ("MAESTRO's composers of 16 performances or more, 5-fold, together", "composers_maestro"),
    ):
        block = load(name)
        both, most = block["together"], max(block["composers"].values()) / sum(block["composers"].values())
        rows.append(
            f"| {what} | {block['pieces']:,} / {block['works']:,} | {figure(both)} | {both['macro_f1']:.3f} | | {most:.3f} |"
        )
    own = shipped["cross-validation"]
    rows.append(
        f"| the shipped model: {len(own['labels'])} composers, all collections, works held out "
        f"| {own['pieces']:,} / {own['groups']:,} | {figure(own)} | {own['macro_f1']:.3f} | | {own['majority_accuracy']:.3f} |"
    )
    panel = load("panel")
    alone = panel["scores"]["ngram-linear"]
    for what, found in (
        ("the scores among these", panel["scores"]["together"]),
        ("its n-grams alone on these scores", alone),
    ):
        rows.append(
            f"| {what} | {found['pieces']:,} / {found['works']:,} | {panel_figure(found)} | {found['macro_f1']:.3f} | | |"
        )
    for what, played in (
        ("human performances (MAESTRO) of works that it learnt from in no edition", panel["performances"]["together"]),
        (
            f"the same by a model of version {SCORES_ALONE} that learnt from scores alone",
            load("panel_scores")["performances"]["together"],
        ),
    ):
        rows.append(
            f"| {what} | {played['pieces']:,} / {played['works']:,} | {panel_figure(played)} | {played['macro_f1']:.3f} | | |"
        )
    head = (
        "| what | files / works | balanced accuracy, works kept whole | macro-F1 | files split at random | always the commonest |\n"
        "|---|---|---|---|---|---|\n"
    )
    recall = own["per_class"]
    each = ", ".join(
        f"{name} {int(v['support'])} ({v['recall']:.2f})"
        for name, v in sorted(recall.items(), key=lambda item: -item[1]["support"])
    )
    unknown = shipped["unknown"]
    rate = speed["folder"]["jobs_2"]["pieces_a_second"]
    return (
        head
        + "\n".join(rows)
        + "\n\nIntervals are 95 %, bootstrapped over works; in the first five rows, which are of n-grams alone, settings are chosen "
        + "within each fold. The random column is what is usually published: editions and movements of one work on both sides.\n"
        + "It learnt from scores, from copies of them as if played, and from performances.\n"
        + f"The shipped model's accuracy is {own['accuracy']:.3f}, its first three names hold the composer in {own['top_3_accuracy']:.3f} "
        + f"of pieces, and its expected calibration error is {own['ece']:.3f}. Of {unknown['pieces']} pieces by nobody it knows it calls "
        + f"{unknown['called unknown']:.0%} unknown, at a threshold that 90 % of known pieces pass.\n"
        + f"A folder of {speed['folder']['files']:,} files is answered at {rate:.0f} pieces a second on two "
        + f"cores; one MIDI file from a cold start takes {speed['cold']['mid']['median_s']:.2f} s.\n\n"
        + "<details><summary>Files of each composer, and the share named correctly when its work was held out</summary>\n\n"
        + each
        + "\n\n</details>\n\nMade by `python benchmarks/composers.py classics`, `... nine`, `... eighteen`, `... maestro`, "
        + "`... shipped`, `... performances`, `python benchmarks/speed.py` and `python benchmarks/readme.py`.\n"
    )


def protocols() -> list[tuple[str, float, float]]:
    """What, files at random, works kept whole: balanced accuracy of ngram-linear."""
    classics = load("composers_classics")
    rows = []
    for name, what in (("four", "4 composers"), ("eighteen", "18 composers")):
        block = classics[name]["labels as filed"]
        rows.append((what, block["random"]["balanced_accuracy"], block["grouped"]["balanced_accuracy"]))
    table = load("published_maestro")
    row = table["recipes"]["ngram-linear"]
    what = f"{len(table['composers'])} composers, performances"
    at_random, honest = row["published protocol"], row["honest"]["piece level"]
    rows.append((what, at_random["balanced_accuracy"], honest["balanced_accuracy"]))
    return rows


def draw_protocols(path: Path) -> None:
    """Pairs of bars: the same recipe, split both ways."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    rows = protocols()
    figure, axes = plt.subplots(figsize=(7, 0.9 + 0.75 * len(rows)))
    for i, (_, at_random, whole) in enumerate(rows):
        for offset, value, colour in ((-0.18, at_random, "#b9b2a4"), (0.18, whole, "#2f6690")):
            axes.barh(i + offset, value, height=0.34, color=colour)
            axes.text(value + 0.008, i + offset, f"{value:.3f}", va="center", fontsize=9)
    axes.set_yticks(range(len(rows)), [what for what, _, _ in rows])
    axes.set_xlim(0, 1.08)
    axes.invert_yaxis()
    axes.set_xlabel("balanced accuracy of the same recipe")
    handles = [plt.Rectangle((0, 0), 1, 1, color=c) for c in ("#b9b2a4", "#2f6690")]
    axes.legend(
        handles,
        ["files split at random", "works kept whole"],
        loc="lower center",
        bbox_to_anchor=(0.5, 1),
        ncols=2,
        frameon=False,
    )
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=150, bbox_inches="tight")


def how_we_measure() -> dict[str, str]:
    """The tables of docs/how-we-measure.md by their marks."""
    lines = ["| | files at random | works kept whole |", "|---|---|---|"]
    lines += [f"| {what} | {at_random:.3f} | {whole:.3f} |" for what, at_random, whole in protocols()]
    classics, played = load("audit")["classics"], load("composers_performances")
    scores, now = (load(name)["performances"]["together"] for name in ("panel_scores", "panel"))
    beside = load("panel").get("beside", {}).get("performances", {})  # added by a comparison of two panels
    alike = {name: found["together"] for name, found in beside.items()}
    version = load("composers_shipped")["version"]
    lines.append(
        f"\nOf the {classics['pieces']:,} files of one collection {classics['pieces_in_shared_works']:,} are of works that stand in it "
        "more than once."
    )
    probe = ["| the files of | composers | accuracy | always the commonest |", "|---|---|---|---|"]
    for name, targets in load("audit")["probe"].items():
        if (row := targets.get("composer")) is not None:
            probe.append(f"| {name} | {row['classes']} | {row['accuracy']:.3f} | {row['majority_accuracy']:.3f} |")
    tables = []
    for name, what in (("four", "Bach, Beethoven, Chopin, Mozart of one collection"), ("nine", "The nine composers")):
        table = load(f"published_{name}")
        for row in table["recipes"].values():  # a figure of other composers says nothing here
            if name not in row.get("published figure", {}).get("on", name):
                del row["published figure"]
        tables.append(
            f"**{what}** ({table['pieces']:,} files, {table['works']:,} works, {table['budget']} budget)\n\n{markdown(table)}"
        )
    return {
        "protocols": "\n".join(lines) + "\n",
        "published": "\n".join(tables),
        "quarters": quarters(),
        "probe": "\n".join(probe) + "\n",
        "performances": (
            f"**{figure(played)}** over {played['pieces']:,} performances of {played['works']:,} works (the n-grams of version 1.0.0 "
            f"of the model). A panel of version {SCORES_ALONE} that learnt from scores alone: **{panel_figure(scores)}** over "
            f"{scores['pieces']:,} performances of {scores['works']:,} works that it met in no edition. The shipped one, of version "
            f"{version}, has learnt from performances, too: **{panel_figure(now)}** over {now['pieces']:,} of "
            f"{now['works']:,} such works."
            + (
                f" Of the {alike['it']['pieces']} of {alike['it']['works']} works that neither met, the one has "
                f"{panel_figure(alike['other'])} and the shipped one {panel_figure(alike['it'])}.\n"
                if alike
                else "\n"
            )
        ),
    }


def quarters() -> str:
    """Accuracy along the mixed windows of a composer: what the published figures of four composers hang on."""
    found = {
        name: row["published protocol"]
        for name, row in load("published_four")["recipes"].items()
        if "quarters" in row.get("published protocol", {})
    }
    lines = [
        "| windows of a composer, by start | pieces in a window | " + " | ".join(found) + " |",
        "|---|---|" + "---|" * len(found),
    ]
    pieces = next(iter(found.values()))["quarters"]["pieces a window"]
    for number, name in enumerate(("first quarter", "second", "third", "last")):
        cells = [
            f"{row['quarters']['accuracy'][number]:.3f} (worst {row['quarters']['lowest'][number]:.2f})"
            for row in found.values()
        ]
        lines.append(f"| {name} | {pieces[number]:g} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def weights() -> str:
    """A row a shipped model."""
    lines = [
        "| model | task | version | trained on | licence of the weights | what that allows |",
        "|---|---|---|---|---|---|",
    ]
    for listed in list_models():
        if not listed.shipped or listed.card is None:
            continue
        card = listed.card
        corpora = "; ".join(f"{c['name']} ({c['licence']}, {c['pieces']:,} files)" for c in card.corpora)
        allows = (
            "any use"
            if card.licence.startswith("CC0")
            else "use, study and sharing with attribution, not for commercial advantage, changes under the same licence"
            if "NC" in card.licence
            else "use and study for research; the collection grants no licence, so any other use is at one's own risk"
            if "research" in card.licence
            else "any use with attribution"
        )
        lines.append(f"| {card.name} | {card.task} | {card.version} | {corpora} | {card.licence} | {allows} |")
    return "\n".join(lines) + "\n"


def recognised() -> str:
    """How well works are recognised, a row a question."""
    measured = load("recognise")
    lines = ["| question | pieces | share | 95 % |", "|---|---:|---:|---:|"]
    for row in measured["figures"]:
        interval = "{:.3f} to {:.3f}".format(*row["interval"]) if "interval" in row else ""
        digits = 4 if row["name"].startswith("false") else 3
        lines.append(f"| {row['name']} | {row['n']:,} | {row['value']:.{digits}f} | {interval} |")
    whole = measured["parts"]["maestro"]["recognised: maestro, whole"]
    every = whole["with those whose group has scores of other music only"]
    return "\n".join(lines) + (
        f"\n\nMAESTRO's {every['pieces']:,} performances whose group has a score are {every['value']:.3f} when none is left out; "
        f"{every['pieces'] - whole['pieces']} of them are of music that no score here has, listed with the reason in the JSON.\n"
    )


def style() -> str:
    """How good the style space is."""
    found, nearest = load("style_retrieval"), load("style_composers")
    same, probe = load("style_same_work"), load("style_probe")

    def recall(system: str) -> str:
        blocks = (found[system][kind] for kind in ("MusicXML score", "MIDI score"))
        return " | ".join("{:.3f} [{:.3f}, {:.3f}]".format(b["recall at 1"], *b["interval"]) for b in blocks)

    def votes(system: str) -> str:
        cells = []
        for kind in ("scores", "MAESTRO performances"):
            block = nearest[system][kind]
            for key in ("accuracy", "balanced accuracy"):
                cells.append("{:.3f} [{:.3f}, {:.3f}]".format(block[key], *block[f"{key}, interval"]))
        return " | ".join(cells)

    own, apart = (
        same[f"falsely the same, {which}"]["share"] for which in ("two works of one composer", "works of two composers")
    )
    told = probe["mean over composers, 0 chance, 1 always right"]
    worst = max(probe["composers"].items(), key=lambda item: item[1]["style embedding"] - item[1]["chance"])
    return (
        f"A performance asks for its score among all of ASAP's, {found['pairs']} pairs, one performance a score; the space has "
        "learnt from no work of ASAP. A piece that ASAP lists twice, with its repeats and without, counts as one.\n\n"
        "| | printed scores (MusicXML) | MIDI scores |\n|---|---|---|\n"
        f"| style embedding, {found['dimensions']} numbers: first is right | {recall('style embedding')} |\n"
        f"| n-grams, tf-idf cosine | {recall('n-grams, tf-idf cosine')} |\n\n"
        f"The five nearest works vote for the composer: {nearest['works']:,} works of {nearest['composers']} composers, a file a work, "
        "five folds of works in turn left out of learning and asking among the others (always the commonest: "
        f"{nearest['always the commonest']:.3f}). "
        "It is a measure of the space, not the way to ask for a composer: `fugato identify` is.\n\n"
        "| | scores: accuracy | balanced | MAESTRO performances: accuracy | balanced |\n|---|---|---|---|---|\n"
        f"| style embedding | {votes('style embedding')} |\n"
        f"| the same n-grams without learning, 2,048 numbers | {votes('sketch without learning')} |\n\n"
        f"The same work: `compare` says so of {same['found the same']:.1%} of the {same['ASAP pairs']} pairs of performance and score, and "
        f"wrongly of {own:.2%} of 20,000 pairs of two works by one composer and {apart:.3%} of works by two (works as the audit tells them "
        "apart, which uses the same fingerprint).\n\n"
        f"Can the source of a file be told from its vector? Works that a composer has in several collections, the same music in different "
        f"bytes ({len(probe['composers'])} composers, chance is one over the number of sources): the raw file's ticks, tracks and "
        f"velocities stand {told['raw file']:.2f} of the way from chance to certainty, the n-grams {told['n-grams, sketched']:.2f}, "
        f"with the metre that `identify` hears as well {told['n-grams with metre, sketched']:.2f}, "
        f"the style embedding {told['style embedding']:.2f}. Most is left of {worst[0]} ({worst[1]['style embedding']:.2f}, chance "
        f"{worst[1]['chance']:.2f}), whose sources write out ornaments and repeats differently.\n"
    )


def speed_of_training() -> str:
    """Epochs beside Keras's, and what keeping memory saves."""
    keras, steps = load("keras_speed"), load("steps")["recipes"]
    versions = keras["machine"]["versions"]
    theirs, ours = versions["keras side"], versions["fugato side"]
    shares = ", ".join(f"`{name}` {row['share']:.2f}" for name, row in steps.items())
    return (
        f"{keras_table(keras)}\n\nPyTorch {ours['torch']} and Lightning {ours['lightning']} beside Keras {theirs['keras']} on TensorFlow "
        f"{theirs['tensorflow']}, {keras['machine']['cpus']} cores, epochs by turns. Made by `python benchmarks/keras_speed.py`.\n\n"
        "A step's processor time with memory kept, of what it takes where each large tensor is given back to the system and asked for "
        f"anew: {shares}. Made by `python benchmarks/steps.py`.\n"
    )


def composed() -> str:
    """What systems that compose are worth, in full."""
    table = load("compose")
    made = "Made by `python benchmarks/compose.py` and `python benchmarks/readme.py`."
    return f"{compose_table.markdown(table)}\nThe models:\n\n{compose_table.models(table)}\n{made}\n"


def composed_in_short() -> str:
    """The same for README.md."""
    table = load("compose")
    return (
        "### New music, beside real music\n\n"
        + compose_table.markdown(table, COMPOSED)
        + f"\n{table['pieces']} pieces of {table['bars']} bars by each system, after {table['seed bars']} bars of {table['works']} "
        "works that none of them has learnt. All rows, and how they are measured, are in "
        "[docs/systems-that-compose.md](docs/systems-that-compose.md). Made by `python benchmarks/compose.py`.\n"
    )


def replace(path: Path, mark: str, text: str) -> None:
    """Put `text` between the marks of a page."""
    page = path.read_text(encoding="utf-8")
    start, end = f"<!-- {mark} -->\n", f"<!-- /{mark} -->"
    before, rest = page.split(start, 1)
    after = rest.split(end, 1)[1]
    path.write_text(before + start + text + end + after, encoding="utf-8")


def main() -> None:
    replace(ROOT / "README.md", "results", results())
    replace(ROOT / "WEIGHTS.md", "weights", weights())
    replace(ROOT / "docs" / "recognise.md", "recognise", recognised())
    replace(ROOT / "docs" / "identify.md", "panel", heard_together())
    replace(ROOT / "docs" / "style-space.md", "style", style())
    replace(ROOT / "docs" / "genre.md", "genres", genre_table(load("genres_protocols")))
    replace(ROOT / "README.md", "published", how_we_measure()["published"])
    replace(ROOT / "docs" / "train-and-tune.md", "speed", speed_of_training())
    replace(ROOT / "README.md", "composed", composed_in_short())
    replace(ROOT / "docs" / "systems-that-compose.md", "compose", composed())
    for mark, text in how_we_measure().items():
        replace(ROOT / "docs" / "how-we-measure.md", mark, text)
    draw_protocols(ROOT / "docs" / "images" / "protocols.png")
    print("README.md and WEIGHTS.md are written")


if __name__ == "__main__":
    main()
