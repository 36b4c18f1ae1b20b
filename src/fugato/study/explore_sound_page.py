"""The page of `fugato.study.explore_sound`, and what can be read from its pictures; every sentence is made from the figures alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from html import escape
from typing import Any, Final

from fugato.study.explore_page import Picture, _percent, document
from fugato.study.explore_pictures import DARK, LIGHT, Draw, png
from fugato.study.explore_sound_pictures import MEASURED

FEW: Final = 3  # recordings: with fewer, a genre cannot be learnt and judged
LISTED: Final = 200  # files that are named on the page; all are in explore.json
TELLING: Final = 0.25  # share of the variance of loudness between genres that deserves a warning
GAIN: Final = 0.1  # of accuracy over the commonest genre, by the form of the files alone, that deserves one
CRAMPED: Final = 5_000.0  # Hz; less bandwidth than this is an old or a heavily packed recording

TITLES: Final = {
    "classes": "How many there are",
    "form": "How long they are, and in what form",
    "level": "How loud and how bright they are",
    "spectra": "Where the genres differ",
    "examples": "One recording of each genre",
    "recording": "Five views",
}
VIEWS: Final = "Waveform, power spectrum, spectrogram, mel spectrogram and MFCC of"
SHOWN: Final = {
    "classes": "Bars of the recordings of each genre, used and skipped, and a pie of their shares of the time.",
    "form": "A row of dots for each genre, one for the length of each recording; bars of sample rates and formats.",
    "level": "Rows of dots for each genre: loudness, mean frequency and bandwidth of every recording.",
    "spectra": "A curve of the mean level over frequency for each genre.",
}


def picture(name: str, draw: Draw, figures: Mapping[str, Any]) -> Picture:
    """Draw a picture twice, and say what is in it."""
    shows = SHOWN.get(name) or f"{VIEWS} one recording."
    return Picture(name, png(draw, LIGHT), png(draw, DARK), sentence(name, figures), shows)


def sentence(name: str, figures: Mapping[str, Any]) -> str:
    """What can be read from a picture, from its figures."""
    if name.startswith("example"):
        return _example(figures["examples"][-1])
    found: dict[str, Callable[[Any], str]] = {
        "classes": _classes,
        "form": _form,
        "level": _level,
        "spectra": _spectra,
        "recording": _recording,
    }
    return found[name](figures[name])


def _classes(counts: Sequence[Mapping[str, Any]]) -> str:
    total, used = sum(c["used"] + c["skipped"] for c in counts), sum(c["used"] for c in counts)
    largest = max(counts, key=lambda c: c["used"])
    share = _percent(largest["used"] / used)
    if len(counts) == 1:
        text = f"There is one genre, {largest['genre']}, with {_many(used)} that can be heard: nothing to tell apart."
    elif sum(c["used"] == largest["used"] for c in counts) == len(counts):
        text = f"All {len(counts)} genres have {_many(largest['used'])}; whoever guesses is right in {share}."
    else:
        text = (
            f"{largest['genre']} has {largest['used']:,} of the {used:,} recordings that can be heard ({share}); "
            "whoever always answers so is right as often."
        )
    if total > used:
        reasons: dict[str, int] = {}
        for c in counts:
            for kind, n in c["reasons"].items():
                reasons[kind] = reasons.get(kind, 0) + n
        listed = ", ".join(f"{n:,} {kind}" for kind, n in sorted(reasons.items(), key=lambda r: -r[1]))
        text += f" {total - used:,} of {total:,} files cannot be used: {listed}."
    if few := [c["genre"] for c in counts if c["used"] < FEW]:
        text += f" Fewer than {FEW} recordings, too few to learn from and to judge by: {_listed(few)}."
    return text


def _form(found: Mapping[str, Any]) -> str:
    seconds = found["seconds"]
    if seconds["longest"] - seconds["shortest"] < 0.05 * seconds["longest"]:
        text = f"All last about {seconds['median']:.3g} s"
    else:
        text = (
            f"Half of them last less than {_length(seconds['median'])}, one in twenty less than {_length(seconds['5 %'])}, one in "
            f"twenty more than {_length(seconds['95 %'])}"
        )
    text += f"; together {_length(seconds['total'])}."
    for name, key, unit in (("sample rate", "rates", " Hz"), ("format", "formats", "")):
        values = [f"{int(v):,}{unit}" if v.isdigit() else v for v in found[key]]
        if len(values) == 1:
            text += f" All have the {name} {values[0]}."
        else:
            text += f" There are {len(values)} {name}s, most often {values[0]}."
    if found["told_by_form"] - found["commonest"] > GAIN:
        text += (
            f" But sample rate, channels and format alone name {_percent(found['told_by_form'])} of the genres, where the commonest is "
            f"{_percent(found['commonest'])}: a model may learn where files come from. Bring all to one form first."
        )
    return text


def _level(found: Mapping[str, Any]) -> str:
    parts = []
    for name, called in MEASURED.items():
        ranked = sorted(found[name]["median"].items(), key=lambda item: item[1])
        (low, least), (high, most) = ranked[0], ranked[-1]
        unit = called.rsplit(" (", 1)[1].rstrip(")")
        what = {"loudness": "Loudness", "centroid": "mean frequency", "bandwidth": "bandwidth"}[name]
        digits = 1 if name == "loudness" else 0
        if low == high:
            parts.append(f"{what} is {least:,.{digits}f} {unit}")
        else:
            told = found[name]["between"]
            share = f" ({_percent(told)} of its variance lies between genres)" if told is not None else ""
            parts.append(f"{what} goes from {least:,.{digits}f} {unit} in {low} to {most:,.{digits}f} in {high}{share}")
    text = "Medians: " + "; ".join(parts) + "."
    if (found["loudness"]["between"] or 0) > TELLING:
        text += " Loudness is often set by whoever made the file: a model of genres should not hear it."
    if clipped := found["clipped files"]:
        text += f" Clipped, with more than one sample in a thousand at full scale: {_many(len(clipped))}."
    if quiet := found["mostly quiet files"]:
        text += f" More than half silence: {_listed(quiet)}."
    return text


def _spectra(found: Mapping[str, Any]) -> str:
    best = found["best"]
    if best["between"] is None:
        return "Nothing can be said of how the genres differ: there is one only, or one recording of each."
    ranked = sorted(best["mean"].items(), key=lambda item: item[1])
    (low, least), (high, most) = ranked[0], ranked[-1]
    known = [b for b in found["between"] if b is not None]
    return (
        f"Genres differ most around {best['hertz']:,.0f} Hz, where {_percent(best['between'])} of the variance of a recording's level "
        f"lies between them: from {least:.0f} dB in {low} to {most:.0f} dB in {high}. Over all bands it is "
        f"{_percent(sum(known) / len(known))} in the mean."
    )


def _example(found: Mapping[str, Any]) -> str:
    return f"The mean spectrum of {found['file']} is nearest to the middle of all of {found['genre']}'s. {_measured(found)}"


def _recording(found: Mapping[str, Any]) -> str:
    text = _measured(found)
    if found["clipped"] > 1e-3:
        text += f" {_percent(found['clipped'])} of its samples are at full scale: it is clipped."
    if found["quiet"] > 0.1:
        text += f" {_percent(found['quiet'])} of it is silence."
    if found["bandwidth"] < CRAMPED:
        text += " There is little above that: an old, filtered or heavily packed recording, or deep sounds alone."
    return " ".join([text, *found["warnings"]])


def _measured(found: Mapping[str, Any]) -> str:
    channels = {1: "mono", 2: "stereo"}.get(found["channels"], f"{found['channels']} channels")
    return (
        f"{_length(found['seconds'])}, {found['rate']:,} Hz, {channels}, {found['format']}; loudness {found['loudness']:.1f} LUFS, peak "
        f"{found['peak']:.1f} dB; 99 % of its power lies below {found['bandwidth']:,} Hz."
    )


def _many(n: int) -> str:
    return f"{n:,} recording{'s' if n != 1 else ''}"


def _length(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.3g} s"
    return f"{seconds / 60:.1f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def _listed(names: Sequence[str], most: int = 8) -> str:
    text = ", ".join(names[:most])
    return text if len(names) <= most else f"{text} and {len(names) - most:,} more"


# -- the page ----------------------------------------------------------------------------------------------------------


def page(pictures: Sequence[Picture], figures: Mapping[str, Any], left_out: Sequence[str]) -> str:
    """The whole page as text."""
    counts = figures["classes"]
    used = sum(c["used"] for c in counts)
    shown = sum(c["shown"] for c in counts)
    drawn = f" The {shown} with most recordings are drawn." if shown < sum(c["used"] > 0 for c in counts) else ""
    time = _length(sum(c["seconds"] for c in counts))
    genres = f"{len(counts):,} genre{'s' if len(counts) != 1 else ''}"
    lead = f"{_many(used)} of {genres}, {time} of sound.{drawn}"
    return document(
        str(figures["collection"]) or "a collection",
        lead,
        pictures,
        TITLES,
        {"classes": _table(counts) + _unusable(figures)},
        left_out,
        f"Made by Fugato {escape(str(figures['version']))}. Measured on what models hear: one channel at 22,050 samples a second. Every "
        "number is in explore.json.",
    )


def page_of_one(made: Picture, figures: Mapping[str, Any]) -> str:
    """The page of a single recording."""
    facts = figures["recording"]
    footer = f"Made by Fugato {escape(str(figures['version']))}. Every number is in explore.json."
    lead = f"{_length(facts['seconds'])} of sound."
    return document(str(figures["collection"]), lead, [made], TITLES, {}, [], footer)


def _table(counts: Sequence[Mapping[str, Any]]) -> str:
    lines = "\n".join(
        f"<tr><td>{escape(c['genre'])}</td><td>{c['used']:,}</td><td>{c['skipped']:,}</td><td>{_length(c['seconds'])}</td>"
        f"<td>{escape(', '.join(f'{n:,} {kind}' for kind, n in c['reasons'].items()))}</td></tr>"
        for c in counts
    )
    head = "<tr><th>genre</th><th>recordings used</th><th>skipped</th><th>time</th><th>why skipped</th></tr>"
    return f"<details><summary>All numbers</summary>\n<table>\n<thead>{head}</thead>\n<tbody>\n{lines}\n</tbody>\n</table>\n</details>"


def _unusable(figures: Mapping[str, Any]) -> str:
    """The files that cannot be used, are no sound or were mended, by name."""
    rows = [(f["file"], f["kind"], f["message"]) for f in figures["unusable"]]
    rows += [(f["file"], "mended", " ".join(f["warnings"])) for f in figures["mended"]]
    rows += [(f["file"], "not taken", f["reason"]) for f in figures["not taken"]]
    if not rows:
        return ""
    lines = "\n".join(
        f"<tr><td>{escape(name)}</td><td>{escape(kind)}</td><td>{escape(why)}</td></tr>"
        for name, kind, why in rows[:LISTED]
    )
    more = f"<p>{len(rows) - LISTED:,} more are in explore.json.</p>" if len(rows) > LISTED else ""
    head = "<tr><th>file</th><th>what</th><th>why</th></tr>"
    return (
        f"\n<details open><summary>Files that cannot be used, or were mended: {len(rows):,}</summary>\n<table>\n<thead>{head}</thead>\n"
        f"<tbody>\n{lines}\n</tbody>\n</table>{more}\n</details>"
    )
