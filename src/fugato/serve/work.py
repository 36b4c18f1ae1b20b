"""What the server's workers do: the functions that the command line calls, with files in and JSON or files out.

Arguments are JSON values, since they cross a pipe; an upload is a `path` in the server's folder and the `name` that its sender gave it.
Every function of `CALLS` returns bytes; those of `TELLING` are given a function that sends an event to the server at once.
"""

from __future__ import annotations

import base64
import io
import json
import traceback
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from fugato.errors import FugatoError

if TYPE_CHECKING:
    from fugato.compose import Composition, NewBar
    from fugato.score import Score

OF_THE_MODEL: Final = ("no-model", "bad-model")
OF_THE_REQUEST: Final = (*OF_THE_MODEL, "bad-option")  # kinds that no other file would change
COLUMNS: Final = 2_000  # of a picture of a recording, at most
DIGITS: Final = 4  # of seconds and quarter notes
LOOKED_AFTER: Final = 12  # new notes before a live listener looks for the work again
RANKED: Final = 20  # names of a live ranking
WARMING: Final = 16  # notes that a worker is warmed up with

Tell = Callable[[dict[str, Any]], None]


def to_json(value: Any) -> bytes:
    """`value` in UTF-8; names that are no Unicode text are written in ASCII escapes."""
    try:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
    except UnicodeEncodeError:
        return json.dumps(value, separators=(",", ":")).encode()


# -- naming --------------------------------------------------------------------------------------------------------------


def identify(
    path: str,
    name: str,
    explain: bool = False,
    candidates: list[str] | None = None,
    top: int | None = None,
    model: str = "composer",
) -> bytes:
    """The answer object of a piece, or its error object."""
    from fugato.composer import identify_many

    def ask() -> dict[str, Any]:
        (found,) = identify_many([path], model=model, candidates=candidates, explain=explain, top=top)
        return found

    return to_json(_answered(ask, name))


def identify_score(path: str, model: str = "composer") -> bytes:
    """The same of a Score that lies there as `Score.to_bytes` gives it: a piece that was composed."""
    from fugato.composer import identify as one

    return to_json(_answered(lambda: one(_score_at(path), model=model).to_dict(), None))


def genre(path: str, name: str, top: int | None = None, model: str = "genre") -> bytes:
    """The answer object of a recording, or its error object."""
    from fugato.genre import genre as one

    return to_json(_answered(lambda: one(path, model=model, top=top).to_dict(), name))


def compare(paths: list[str], names: list[str]) -> bytes:
    """The comparison of two pieces."""
    from fugato.composer import compare as ask

    with _Named(*zip(paths, names, strict=True)):
        found = ask(*paths).to_dict()
    return to_json({**found, "inputs": names})


def place(path: str, name: str, model: str = "composer") -> bytes:
    """Where a piece lies in the style space, and who is named as its composer; or its error object."""
    from fugato.composer import embed
    from fugato.composer import identify as one
    from fugato.read import read

    def ask() -> dict[str, Any]:
        score = read(path)
        answer = one(score, model=model, top=1, work=False)
        return {
            "name": answer.name,
            "probability": round(answer.probability, 4),
            "known": answer.known,
            "vector": [round(float(v), 6) for v in embed(score)],
        }

    return to_json(_answered(ask, name))


def lay_out(places: list[dict[str, Any]]) -> bytes:
    """Vectors as points of a picture, as `fugato map` draws them."""
    import numpy as np

    from fugato.study.style_map import LEAST, layout

    good = [place for place in places if "error" not in place]
    if len(good) < LEAST:
        raise FugatoError("bad-data", f"A map needs {LEAST} pieces; only {len(good)} can be read.")
    points = layout(np.array([place.pop("vector") for place in good], np.float32))
    for place, (x, y) in zip(good, points.tolist(), strict=True):
        place.update(x=round(x, DIGITS), y=round(y, DIGITS))
    return to_json({"points": good, "left_out": [place for place in places if "error" in place]})


# -- looking and listening ---------------------------------------------------------------------------------------------


def notes(path: str, name: str) -> bytes:
    """What a piano roll and a player need of a piece."""
    import numpy as np

    from fugato.read import read
    from fugato.score import seconds_at

    with _Named((path, name)):
        score = read(path)
    if not len(score):
        raise FugatoError("empty", "There are no notes in it.", name)
    table = score.notes
    columns = (table["onset_seconds"], table["duration_seconds"], table["pitch"], table["velocity"], table["part"])
    beats = (table["onset"], table["duration"])
    return to_json(
        {
            "title": score.title,
            "seconds": round(score.seconds, DIGITS),
            "notes": [list(row) for row in zip(*map(_rounded, columns), strict=True)],
            "beats": [list(row) for row in zip(*map(_rounded, beats), strict=True)],
            "bars": _rounded(seconds_at(score.tempos, np.asarray(score.bars))),
            "parts": [{"name": part.name, "program": part.program, "drum": part.drum} for part in score.parts],
            "notated": score.beats == "notated",
            "warnings": list(score.warnings),
        }
    )


def convert(path: str, name: str, out: str) -> bytes:
    """A piece as the file `out`, of which the suffix says how: .mid, .musicxml, .wav or .png."""
    from fugato.read import read

    with _Named((path, name), (out, name)):
        _written(read(path), Path(out))
    return b"{}"


def file_of_piece(path: str, report: dict[str, Any], options: dict[str, Any], out: str) -> bytes:
    """A piece that was composed as a file; in a picture the new notes are marked."""
    from fugato.compose import Composition

    _written(Composition(_score_at(path), report, options), Path(out))
    return b"{}"


def sound(path: str, name: str) -> bytes:
    """The waveform and the mel spectrogram of a recording."""
    import numpy as np
    from matplotlib import image

    from fugato.read import read_audio
    from fugato.represent.outline import outline

    with _Named((path, name)):
        seen = outline(read_audio(path))
    low, high = (_rounded(np.asarray(side, np.float64)) for side in seen.wave[:, :COLUMNS])
    picture = io.BytesIO()
    image.imsave(picture, seen.mel[:, :COLUMNS], cmap="magma", origin="lower", format="png")
    return to_json(
        {
            "seconds": round(seen.seconds, DIGITS),
            "waveform": {"rate": round(1 / seen.wave_column, 6), "min": low, "max": high},
            "mel": {
                "png": "data:image/png;base64," + base64.b64encode(picture.getvalue()).decode(),
                "seconds": round(seen.mel.shape[1] * seen.mel_column, DIGITS),
                "low_hz": round(float(seen.mel_hertz[0]), 1),
                "high_hz": round(float(seen.mel_hertz[-1]), 1),
            },
            "warnings": list(seen.warnings),
        }
    )


# -- composing -----------------------------------------------------------------------------------------------------------


def compose(
    tell: Tell,
    folder: str,
    seed: str | None = None,
    seed_name: str | None = None,
    seed_composer: str | None = None,
    seed_bars: int | None = None,
    variations: int = 1,
    keep: int | None = None,
    random_seed: int | None = None,
    infill: list[int] | None = None,
    model: str = "compose",
    **options: Any,
) -> bytes:
    """Pieces as `fugato compose` writes them, best first: their reports as JSON, their Scores in `folder` as NUMBER.score.

    The new bars of each alone are NUMBER.new: who wrote the seed is no question. Each bar is told as it is finished, after those of
    the seed.
    """
    import secrets

    from fugato.compose import Composition, best, stream
    from fugato.compose import compose as at_once
    from fugato.compose.request import BARS, seed_by

    first = secrets.randbelow(2**31) if random_seed is None else random_seed
    system = _generator(model)
    given: Score | None = None
    if seed is not None:
        from fugato.read import read

        with _Named((seed, seed_name or "the seed")):
            given = read(seed)
    gap = (infill[0], infill[1]) if infill is not None else None
    pieces: list[tuple[int, Composition]] = []
    if options.get("seconds") is None:
        tell({"bars_in_all": gap[1] - gap[0] + 1 if gap is not None else options.get("bars") or BARS})
    for number in range(1, variations + 1):
        named = seed_name
        if seed_composer is not None:
            given, named = seed_by(seed_composer, first + number - 1, whole=gap is not None or seed_bars is not None)
        if given is not None and seed_bars is not None:
            given = _first_bars(given, seed_bars)
        asked = {**options, "infill": gap, "random_seed": first + number - 1, "model": system}
        told = _Told(tell, number, given, gap, options.get("tempo"))
        with _Named(("score", named or "the seed")):  # as a Score is called that has no name
            writing = stream(seed=given, **asked) if hasattr(system, "job") else iter([at_once(seed=given, **asked)])
            for item in writing:
                if isinstance(item, Composition):
                    report = {**item.options, "seed": named} if given is not None else item.options
                    report = {**report, "seed_bars": seed_bars} if seed_bars is not None else report
                    pieces.append((number, replace(item, options=report)))
                    told.rest(item)
                else:
                    told.new(item)
    numbers = {id(piece): number for number, piece in pieces}
    kept = best([piece for _, piece in pieces], keep or variations)
    for piece in kept:
        number = numbers[id(piece)]
        (Path(folder) / f"{number}.score").write_bytes(piece.score.to_bytes())
        (Path(folder) / f"{number}.new").write_bytes(piece.continuation.to_bytes())
    return to_json([{"variation": numbers[id(p)], "name": p.name, **p.to_dict()} for p in kept])


def _first_bars(score: Score, bars: int) -> Score:
    """So many bars from the beginning; what sounds on after them ends with them."""
    import numpy as np

    from fugato.score import seconds_at

    if bars >= len(score.bars):
        return score
    kept = score.excerpt(0, bars - 1)
    end = float(score.bars[bars] - score.bars[0])
    notes = kept.notes.copy()
    over = notes["onset"] + notes["duration"] > end
    notes["duration"][over] = end - notes["onset"][over]
    longest = float(seconds_at(kept.tempos, np.array([end]))[0]) - notes["onset_seconds"]
    notes["duration_seconds"] = np.minimum(notes["duration_seconds"], np.maximum(longest, 0))
    notes.flags.writeable = False
    return replace(kept, notes=notes)


class _Told:
    """Bars of one piece as events, in seconds from its beginning."""

    def __init__(
        self, tell: Tell, variation: int, seed: Score | None, gap: tuple[int, int] | None, tempo: float | None
    ) -> None:
        from fugato.score import Tempo

        self.tell, self.variation = tell, variation
        self.told: set[int] = set()
        self.tempos: tuple[Tempo, ...] | None = (Tempo(0.0, tempo),) if tempo is not None else None
        if seed is not None:
            if self.tempos is None:
                self.tempos = tuple(t for t in seed.tempos if t.onset < max(seed.end, 1e-6))
            for bar in range(1, len(seed.bars) + 1):
                if gap is None or not gap[0] <= bar <= gap[1]:
                    self._event(bar, float(seed.bars[bar - 1]), seed.excerpt(bar - 1, bar - 1), seed=True)

    def new(self, bar: NewBar) -> None:
        """A bar that was just finished."""
        if self.tempos is None:
            self.tempos = bar.score.tempos
        self._event(bar.bar, bar.start, bar.score, seed=False)

    def rest(self, piece: Composition) -> None:
        """What a system that writes a piece at once has told nobody yet."""
        first, last = piece.report["new_bars"]
        self.tempos = piece.score.tempos
        for bar in range(first, min(last, len(piece.score.bars)) + 1):
            if bar not in self.told:
                score = piece.score.excerpt(bar - 1, bar - 1)
                self._event(bar, float(piece.score.bars[bar - 1]), score, seed=False)

    def _event(self, bar: int, start: float, score: Score, seed: bool) -> None:
        import numpy as np

        from fugato.score import seconds_at

        assert self.tempos is not None
        table, tempos = score.notes, self.tempos
        begin = seconds_at(tempos, table["onset"] + start)
        length = seconds_at(tempos, table["onset"] + table["duration"] + start) - begin
        columns = (begin, length, table["pitch"], table["velocity"], table["part"])
        length_in_quarters = score.meters[0].bar_length
        edges = seconds_at(tempos, np.array([start, start + length_in_quarters]))
        self.told.add(bar)
        self.tell(
            {
                "variation": self.variation,
                "bar": bar,
                "start": round(float(edges[0]), DIGITS),
                "end": round(float(edges[1]), DIGITS),
                "quarters": float(length_in_quarters),
                "notes": [list(row) for row in zip(*map(_rounded, columns), strict=True)],
                "programs": [part.program for part in score.parts],
                "seed": seed,
            }
        )


@lru_cache(maxsize=2)
def _generator(model: str) -> Any:
    from fugato.compose import load_generator

    return load_generator(model)


def warm_writer(model: str) -> bytes:
    """Load what composing needs, and write a bar."""
    from fugato.compose import compose as write

    write(bars=1, random_seed=0, model=_generator(model))
    return b"{}"


# -- listening ---------------------------------------------------------------------------------------------------------


class _Ear:
    """A Listener of one connection, and the work that it recognised last."""

    def __init__(self, model: str) -> None:
        from fugato.composer import Listener

        self.listener = Listener(model)
        self.work: dict[str, Any] | None = None
        self.looked = 0  # notes at the last look for the work


_ears: dict[str, _Ear] = {}


def listen(
    session: str,
    before: int,
    notes: list[list[Any]],
    model: str = "composer",
    reset: bool = False,
    explain: bool = False,
) -> bytes:
    """Who might have composed what is played: after new notes, of a connection that has sent `before` notes so far.

    Notes are (pitch, onset, offset or null, velocity), in seconds. Where this process does not know the notes before, it says
    ``lost``, and is sent them again.
    """
    from fugato.composer.listen import LIVE_NOTES

    if reset or session not in _ears:
        _ears[session] = _Ear(model)
    ear = _ears[session]
    listener = ear.listener
    if len(listener) != before:
        del _ears[session]
        return to_json({"lost": True})
    for pitch, onset, offset, *_ in notes:
        listener.note(int(pitch), float(onset), None if offset is None else max(float(offset) - float(onset), 0.0))
    count = len(listener)
    if count - ear.looked >= LOOKED_AFTER and count <= LIVE_NOTES and listener.ranking:
        ear.looked = count + count // 16  # the more there is, the less a few notes change
        ear.work = listener.answer(top=1).work or ear.work
    out: dict[str, Any] = {
        "notes": count,
        "ranking": [guess.to_dict() for guess in listener.ranking[:RANKED]],
        "known": listener.known,
        "work": ear.work,
    }
    if explain:
        out["answer"] = listener.answer(explain=True).to_dict()
    return to_json(out)


def forget(session: str) -> bytes:
    """The connection is closed."""
    _ears.pop(session, None)
    return b"{}"


# -- helpers -----------------------------------------------------------------------------------------------------------


def warm() -> bytes:
    """Load what an answer about notes needs."""
    from fugato.composer import identify as one
    from fugato.score import Score

    one(Score.from_notes(range(WARMING), [1] * WARMING, [60 + 7 * i % 12 for i in range(WARMING)]))
    return b"{}"


def _answered(ask: Callable[[], dict[str, Any]], name: str | None) -> dict[str, Any]:
    """What is said of one input, under the name that its sender gave it; whatever goes wrong with it is its error object."""
    try:
        found = ask()
        found["input"] = name
        return found if name is not None or "error" in found else {"input": None, **found}
    except MemoryError:
        raise
    except FugatoError as error:
        if error.kind in OF_THE_MODEL or (error.kind in OF_THE_REQUEST and error.input is None):
            raise
        return {**error.to_dict(), "input": name}
    except Exception as error:  # noqa: BLE001 (as `fugato.read.worker`: whatever an analysis stumbles over, the others are answered)
        traceback.print_exc()
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        message = f"It was read, but could not be analysed ({reason})."
        return FugatoError("corrupt", message, name).to_dict()


class _Named:
    """Refusals name an upload as its sender did, not the server's copy of it."""

    def __init__(self, *names: tuple[str, str]) -> None:
        self.names = dict(names)

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if isinstance(error, FugatoError) and error.input in self.names:
            raise FugatoError(error.kind, error.message, self.names[error.input]) from error


def _score_at(path: str) -> Score:
    from fugato.score import Score

    return Score.from_bytes(Path(path).read_bytes())


def _written(thing: Any, out: Path) -> None:
    from fugato.write import plot, write

    if out.suffix == ".png":
        plot(thing, out)
    else:
        write(thing, out)


def _rounded(column: Any) -> list[Any]:
    """A column as plain numbers, fractions to `DIGITS`."""
    import numpy as np

    return list((np.round(column.astype(np.float64), DIGITS) if column.dtype.kind == "f" else column).tolist())


CALLS: Final[dict[str, Callable[..., bytes]]] = {
    "identify": identify,
    "identify_score": identify_score,
    "genre": genre,
    "compare": compare,
    "place": place,
    "lay_out": lay_out,
    "notes": notes,
    "convert": convert,
    "file_of_piece": file_of_piece,
    "sound": sound,
    "compose": compose,
    "listen": listen,
    "forget": forget,
    "warm": warm,
    "warm_writer": warm_writer,
}
TELLING: Final = frozenset({"compose"})
