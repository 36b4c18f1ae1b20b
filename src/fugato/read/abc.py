"""ABC -> Scores, parsed by music21, tune by tune and voice by voice.

music21 reads one voice; the voices of a tune are told apart here and put together again as parts.

After the *ABC music standard 2.1* (December 2011). Title and composer come from the fields ``T:`` and ``C:``. A file
with several ``X:`` fields is a book; a tune that cannot be read is left out of it with a warning.
"""

from __future__ import annotations

import logging
import re
from typing import Final

from fugato.errors import FugatoError
from fugato.read.limits import Limits
from fugato.score import Score

log = logging.getLogger(__name__)
# A number that is no length and no metre: a whole note is 8 or 16 units, a metre seldom above 32.
MUCH: Final = r"\d{5,}"


def read_abc(text: str, limits: Limits, warnings: tuple[str, ...] = (), *, every: bool = True) -> list[Score]:
    """Every tune of a file that has notes, or the first of them; of a book, each says in a warning which one it is."""
    header, tunes = split_tunes(text)
    scores: list[Score] = []
    failed: list[FugatoError] = []
    for number, tune in enumerate(tunes, 1):
        place = (f"Tune {number} of a book of {len(tunes)}.",) if len(tunes) > 1 else ()
        try:
            scores.append(_tune(header + tune, limits, (*warnings, *place)))
            if not every:
                break
        except FugatoError as e:
            if e.kind == "too-large":
                raise
            failed.append(e)
        except MemoryError:
            raise
        except Exception as e:
            log.debug("tune %d", number, exc_info=True)
            failed.append(FugatoError("corrupt", f"The ABC makes no sense ({type(e).__name__}: {e})."))
    if not scores:
        raise failed[0] if failed else FugatoError("empty", "There is no tune in it.")
    return scores


def split_tunes(text: str) -> tuple[str, list[str]]:
    """What stands before the first ``X:`` field and holds for every tune, and the tunes."""
    starts = [m.start() for m in re.finditer(r"^X:", text, re.M)]
    if not starts:
        return "", [text]
    ends = [*starts[1:], len(text)]
    header = "".join(line + "\n" for line in text[: starts[0]].splitlines() if re.match(r"[BCDFGHLMNORSZ]:", line))
    return header, [text[a:b] for a, b in zip(starts, ends, strict=True)]


def _check_numbers(voice: str) -> None:
    """Refuse lengths and metres for which music21 would take gigabytes: it writes a bar's beats out one by one."""
    for line in voice.splitlines():
        field = re.match(r"([A-Za-z]):", line)
        if field is None or field[1] in "LMQ":
            notes = re.sub(r'"[^"]*"|%.*', "", line)
            if number := re.search(MUCH, notes):
                raise FugatoError("too-large", f"A length or metre of {number[0][:20]} is no music's.")


def split_voices(tune: str) -> list[tuple[str, str]]:
    """The voices of a tune as (name, tune of that voice alone), in the order in which they are met; at least one.

    A voice starts with a line ``V:id`` or an inline ``[V:id]``. Lyrics and comments are dropped. A tempo that stands
    inline at the head of the music is moved to the tune's header, since it holds for all voices.
    """
    header: list[str] = []
    names: dict[str, str] = {}
    bodies: dict[str, list[str]] = {}
    voice, in_body = "", False
    for line in tune.splitlines():
        line = re.sub(r"(?<!\\)%.*", "", line).rstrip()
        field = re.match(r"([A-Za-z]):[ \t]*(.*)", line)
        if field and field[1] == "V":
            words = re.match(r"(\S+)\s*(.*)", field[2])
            if words:
                if in_body:
                    voice = words[1]
                name = re.search(r"\b(?:name|nm)\s*=\s*\"([^\"]*)\"", words[2])
                names[words[1]] = name[1] if name else names.get(words[1], "")
        elif field and field[1] in "wWs":
            continue
        elif not in_body:
            header.append(line)
            in_body = bool(field and field[1] == "K")
        else:
            for piece in re.split(r"(?=\[V:)", line):
                inline = re.match(r"\[V:\s*([^\]\s]+)[^\]]*\]", piece)
                if inline:
                    voice, piece = inline[1], piece[inline.end() :]
                if piece.strip():
                    bodies.setdefault(voice, []).append(piece.strip())
    tempo = re.search(r"\[(Q:[^\]]*)\]", "\n".join(line for body in bodies.values() for line in body[:1]))
    if tempo and not any(line.startswith("Q:") for line in header) and header:
        header.insert(-1, tempo[1])
    if len(bodies) > 1:
        bodies = {v: b for v, b in bodies.items() if v or any("|" in line for line in b)}
    head = "\n".join(header)
    return [(names.get(v, ""), head + "\n" + "\n".join(b) + "\n") for v, b in bodies.items()] or [("", tune)]


def _tune(text: str, limits: Limits, warnings: tuple[str, ...]) -> Score:
    from music21 import converter, stream

    from fugato.read.streams import check, score_of_streams

    voices = split_voices(text)
    pieces = []
    for _, voice in voices:
        _check_numbers(voice)
        piece = converter.parseData(voice, format="abc")
        if isinstance(piece, stream.Opus):
            piece = next(iter(piece.scores))
        check(piece)
        pieces.append(piece)
    return score_of_streams(
        pieces,
        "abc",
        limits,
        [name for name, _ in voices],
        title=_field(text, "T"),
        composer=_field(text, "C"),
        warnings=warnings,
    )


def _field(text: str, letter: str) -> str:
    found = re.search(rf"^{letter}:[ \t]*(.*?)[ \t]*(?:%.*)?$", text, re.M)
    return found[1] if found else ""
