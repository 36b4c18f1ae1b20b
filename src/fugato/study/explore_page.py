"""``explore.html``: the pictures of a collection in one self-contained page, each with what can be read from it.

The sentences are made from the figures alone. The page follows the reader's light or dark setting and prints light.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any, Final

from fugato.study.explore_pictures import DARK, LIGHT, NAMES, Draw, png

FEW: Final = 3  # files: with fewer, a composer cannot be learnt and judged
MADE: Final = {"velocity", "tempo"}  # features that the maker of a file sets, where it is no performance
TITLES: Final = {
    "classes": "How many there are",
    "densities": "How each feature is distributed",
    "correlation": "Which features say the same",
    "pca": "Where the chunks differ most",
    "augmentation": "What augmentation changes",
}
SHOWN: Final = {  # what a picture shows, for those who cannot see it
    "classes": "Bars of the files of each composer, used and skipped, and a pie of their shares of the chunks.",
    "densities": "A panel of density curves for each feature, one curve for each composer.",
    "correlation": "A triangle of the correlation coefficients of all pairs of features.",
    "pca": "Two scatter plots of chunks on the first two principal components, original and augmented, coloured by composer.",
    "augmentation": "Density curves of six features, original and augmented.",
}


@dataclass(frozen=True)
class Picture:
    """A picture on light and on dark ground (PNG), and what can be read from it."""

    name: str
    light: bytes
    dark: bytes
    sentence: str
    shows: str


def picture(name: str, draw: Draw, figures: Mapping[str, Any]) -> Picture:
    """Draw a picture twice, and say what is in it."""
    example = figures["examples"][-1] if name.startswith("example") else None
    shows = SHOWN.get(name) or f"Piano roll and spectrogram of ten seconds by {example['composer'] if example else ''}."
    return Picture(name, png(draw, LIGHT), png(draw, DARK), sentence(name, figures), shows)


# -- sentences ---------------------------------------------------------------------------------------------------------


def sentence(name: str, figures: Mapping[str, Any]) -> str:
    """What can be read from a picture, from its figures."""
    if name.startswith("example"):
        return _example(figures["examples"][-1])
    found: dict[str, Callable[[Any], str]] = {
        "classes": _classes,
        "densities": _densities,
        "correlation": _correlation,
        "pca": _pca,
        "augmentation": _augmentation,
    }
    return found[name](figures[name])


def _classes(counts: Sequence[Mapping[str, Any]]) -> str:
    files = [c["used"] + c["skipped"] for c in counts]
    total, used = sum(files), sum(c["used"] for c in counts)
    largest = max(counts, key=lambda c: c["used"])
    share = largest["used"] / used
    text = f"{largest['composer']} has {largest['used']:,} of the {used:,} files that are used ({_percent(share)})"
    if len(counts) > 1:
        text += "; whoever always answers so is right as often."
        most = max(counts, key=lambda c: c["chunks"])
        chunks = most["chunks"] / sum(c["chunks"] for c in counts)
        if most is not largest or abs(chunks - share) >= 0.02:
            text += f" Of the chunks, {most['composer']} has the largest share, {_percent(chunks)}."
    else:
        text += "."
    if total > used:
        reasons: dict[str, int] = {}
        for c in counts:
            for kind, n in c["reasons"].items():
                reasons[kind] = reasons.get(kind, 0) + n
        listed = ", ".join(f"{n:,} {kind}" for kind, n in sorted(reasons.items(), key=lambda r: -r[1]))
        text += f" {total - used:,} of {total:,} files ({_percent((total - used) / total)}) give no chunk: {listed}."
    if few := sum(c["used"] < FEW for c in counts):
        text += f" {few} of {len(counts)} composers have fewer than {FEW} usable files: too few to learn from and to judge by."
    return text


def _densities(features: Sequence[Mapping[str, Any]]) -> str:
    told = sorted((f for f in features if f["between"] is not None), key=lambda f: -f["between"])
    if not told:
        return "There is one composer only, so there is nothing to tell apart."
    best, least = told[0], told[-1]
    ranked = sorted((item for item in best["median"].items() if item[1] is not None), key=lambda item: item[1])
    (low, lowest), (high, highest) = ranked[0], ranked[-1]
    text = (
        f"Composers differ most in {_name(best)}: {_percent(best['between'])} of its variance lies between them, from {low} "
        f"(median {lowest:g}) to {high} ({highest:g}). Next comes {_name(told[1])} with {_percent(told[1]['between'])}; least "
        f"tells {_name(least)}, with {_percent(least['between'])}."
    )
    if best["feature"] in MADE:
        text += (
            f" But {_spoken(best['feature'])} is often set by whoever made the file: fugato audit --probe tells how much that "
            "gives away."
        )
    return text


def _correlation(found: Mapping[str, Any]) -> str:
    if not found["strongest"]:
        return "Fewer than two features vary, so there is nothing to compare."
    pair = found["strongest"][0]
    text = f"The strongest pair is {_pair(pair)}"
    if len(found["strongest"]) > 1:
        text += f", then {_pair(found['strongest'][1])}"
    text += "."
    if found["dropped"]:
        text += f" Above 0.95 the later one adds nothing: {', '.join(map(_spoken, found['dropped']))} can be dropped."
    else:
        text += " None is above 0.95, so all are kept."
    if found["constant"]:
        text += f" The same everywhere, and left out: {', '.join(map(_spoken, found['constant']))}."
    return text


def _pca(found: Mapping[str, Any]) -> str:
    first, second = found["explained"]
    names = [", ".join(_spoken(w["feature"]) for w in axis) for axis in found["axes"]]
    text = (
        f"Two directions hold {_percent(first + second)} of the variance of the chunks: the first ({_percent(first)}) is mostly "
        f"{names[0]}, the second ({_percent(second)}) {names[1]}."
    )
    if found["between"] and None not in found["between"]:
        share = max(found["between"])
        verdict = "they overlap widely" if share < 0.25 else "they overlap in part" if share < 0.6 else "they lie apart"
        text += f" At most {_percent(share)} of it lies between composers: in this plane {verdict}."
    if found["spread"]:
        text += f" Augmentation moves a chunk by {_percent(found['moved'] / found['spread'])} of the average distance from the centre."
    return text


def _augmentation(found: Mapping[str, Any]) -> str:
    ranked = sorted(found["distance"].items(), key=lambda item: -item[1])
    (most, gap), (least, small) = ranked[0], ranked[-1]
    text = (
        f"Most changed is {_spoken(most)}: its distribution functions lie up to {_percent(gap)} apart; least changed is "
        f"{_spoken(least)} ({_percent(small)})."
    )
    added = sum(found["needed"].values())
    if added:
        rarest = max(found["needed"], key=lambda name: found["needed"][name])
        share = added / (added + found["total"])
        text += (
            f" To give all {len(found['needed'])} composers as many chunks as {found['largest']}, {added:,} changed copies are "
            f"needed, {_percent(share)} of the balanced set; {rarest} needs most of them, {found['needed'][rarest]:,}."
        )
    return text


def _example(found: Mapping[str, Any]) -> str:
    at = f"{int(found['start'] or 0) // 60}:{int(found['start'] or 0) % 60:02d}"
    return (
        f"The chunk nearest to the middle of all of {found['composer']}'s is from {found['piece']}, at {at}: "
        f"{found['note_density']:.1f} notes a second within {found['pitch_range']:.0f} semitones."
    )


def _name(feature: Mapping[str, Any]) -> str:
    return NAMES[feature["feature"]]


def _spoken(name: str) -> str:
    return name.replace("_", " ")


def _pair(pair: Mapping[str, Any]) -> str:
    return f"{_spoken(pair['features'][0])} and {_spoken(pair['features'][1])} (r = {pair['r']:.2f})"


def _percent(share: float) -> str:
    percent = 100 * share
    if 0 < percent < 1:
        return "<1 %"
    return ">99 %" if 99.5 <= percent < 100 else f"{percent:.0f} %"


# -- the page ----------------------------------------------------------------------------------------------------------

_STYLE: Final = """
:root { color-scheme: light dark; --ground: #ffffff; --ink: #20242c; --muted: #5d6570; --line: #e4e7eb; --accent: #2f5d8a; }
@media (prefers-color-scheme: dark) {
  :root { --ground: #171a20; --ink: #e8eaee; --muted: #a3abb8; --line: #333943; --accent: #6fa3d6; }
}
body { background: var(--ground); color: var(--ink); font: 16px/1.55 system-ui, sans-serif; margin: 0 auto; max-width: 68rem;
  padding: 2rem 1.25rem 4rem; }
h1 { font-size: 1.7rem; line-height: 1.25; margin: 0 0 .3rem; overflow-wrap: anywhere; }
h2 { font-size: 1.2rem; margin: 3rem 0 .6rem; }
p.lead, footer, nav { color: var(--muted); }
nav a { color: var(--accent); margin-right: 1rem; white-space: nowrap; }
figure { margin: 0 0 1.6rem; break-inside: avoid; }
figure img { display: block; height: auto; max-width: 100%; }
figcaption { border-left: 3px solid var(--accent); margin-top: .7rem; max-width: 56rem; padding-left: .8rem; overflow-wrap: anywhere; }
table { border-collapse: collapse; font-size: .9rem; font-variant-numeric: tabular-nums; }
th, td { border-bottom: 1px solid var(--line); padding: .25rem .9rem .25rem 0; text-align: left; }
td + td, th + th { text-align: right; }
td:last-child, th:last-child { text-align: left; padding-left: 1rem; }
details { margin: 1rem 0; } summary { color: var(--accent); cursor: pointer; }
footer { border-top: 1px solid var(--line); font-size: .85rem; margin-top: 3rem; padding-top: 1rem; }
@media print { body { max-width: none; padding: 0; } nav { display: none; } h2 { break-after: avoid; } }
"""


def page(pictures: Sequence[Picture], figures: Mapping[str, Any], left_out: Sequence[str]) -> str:
    """The whole page as text."""
    counts = figures["classes"]
    used, chunks = sum(c["used"] for c in counts), sum(c["chunks"] for c in counts)
    shown = sum(c["shown"] for c in counts)
    drawn = f" The {shown} with most files are drawn." if shown < len(counts) else ""
    footer = (
        f"Made by Fugato {escape(str(figures['version']))}, random seed {figures['random_seed']}. Single notes and augmentation: "
        f"{figures['sample']['chunks']:,} chunks, at most {figures['sample']['most_per_composer']:,} of a composer; other figures: "
        "all chunks of the composers drawn. Every number is in explore.json."
    )
    lead = f"{used:,} files by {len(counts):,} composers give {chunks:,} chunks of {figures['size']} notes of one instrument.{drawn}"
    return document(
        str(figures["collection"]) or "a collection",
        lead,
        pictures,
        {**TITLES, "examples": "One chunk of each, as the networks see it"},
        {"classes": _table(counts)},
        left_out,
        footer,
    )


def document(
    name: str,
    lead: str,
    pictures: Sequence[Picture],
    titles: Mapping[str, str],
    after: Mapping[str, str],
    left_out: Sequence[str],
    footer: str,
) -> str:
    """A self-contained page of pictures.

    Parameters
    ----------
    name : str
        Its heading, as plain text.
    lead, footer : str
        HTML within a paragraph.
    pictures : sequence of Picture
    titles : mapping
        Heading of each section; a section holds a picture of that name, "examples" all whose names begin with "example".
    after : mapping
        HTML that follows a picture, by its name.
    left_out : sequence of str
        What could not be drawn, and why.
    """
    name = escape(name)
    sections = {key: titles[key] for key in dict.fromkeys(_section(p.name) for p in pictures)}
    parts = [
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{name}: explored</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n<header>\n<h1>{name}</h1>",
        f'<p class="lead">{lead}</p>',
        "<nav>"
        + "".join(f'<a href="#{key}">{title}</a>' for key, title in sections.items())
        + "</nav>\n</header>\n<main>",
    ]
    last = ""
    for made in pictures:
        key = _section(made.name)
        if key != last:
            parts.append(("</section>\n" if last else "") + f'<section id="{key}">\n<h2>{sections[key]}</h2>')
            last = key
        parts.append(_figure(made))
        if made.name in after:
            parts.append(after[made.name])
    parts.append("</section>\n</main>\n<footer>")
    parts += [f"<p>Not drawn: {escape(reason)}.</p>" for reason in left_out]
    parts.append(f"<p>{footer}</p>\n</footer>\n</body>\n</html>\n")
    return "\n".join(parts)


def _section(name: str) -> str:
    return "examples" if name.startswith("example") else name


def _figure(made: Picture) -> str:
    light, dark = (
        f"data:image/png;base64,{base64.b64encode(data).decode('ascii')}" for data in (made.light, made.dark)
    )
    return (
        f'<figure id="picture-{made.name}">\n<picture><source media="(prefers-color-scheme: dark)" srcset="{dark}">'
        f'<img src="{light}" alt="{escape(f"{made.shows} {made.sentence}")}"></picture>\n'
        f"<figcaption>{escape(made.sentence)}</figcaption>\n</figure>"
    )


def _table(counts: Sequence[Mapping[str, Any]]) -> str:
    lines = [
        f"<tr><td>{escape(c['composer'])}</td><td>{c['used']:,}</td><td>{c['skipped']:,}</td><td>{c['chunks']:,}</td>"
        f"<td>{escape(', '.join(f'{n:,} {kind}' for kind, n in c['reasons'].items()))}</td></tr>"
        for c in counts
    ]
    head = "<tr><th>composer</th><th>files used</th><th>skipped</th><th>chunks</th><th>why skipped</th></tr>"
    body = "\n".join(lines)
    return f"<details><summary>All numbers</summary>\n<table>\n<thead>{head}</thead>\n<tbody>\n{body}\n</tbody>\n</table>\n</details>"
