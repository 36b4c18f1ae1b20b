"""The table of the benchmark of composing, for people: a row a measure, a column a system, real music last."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

Figure = dict[str, Any]
Cell = Callable[[Figure], str]
NONE: Final = ""


def value(found: Figure | None, digits: int = 2, *, scale: float = 1.0, unit: str = "") -> str:
    """``0.91 [0.88, 0.94]``"""
    if not found or found.get("value") is None:
        return NONE
    low, high = found["interval"]
    if low is None or high is None:
        return f"{scale * found['value']:.{digits}f}{unit}"
    return f"{scale * found['value']:.{digits}f}{unit} [{scale * low:.{digits}f}, {scale * high:.{digits}f}]"


def _plain(*path: str, digits: int = 2) -> Cell:
    return lambda system: value(_at(system, path), digits)


def _percent(*path: str) -> Cell:
    return lambda system: value(_at(system, path), 0, scale=100, unit=" %")


def _at(system: Figure, path: Sequence[str]) -> Any:
    found: Any = system
    for step in path:
        found = found.get(step) if isinstance(found, dict) else None
    return found


def _number(*path: str, digits: int = 0) -> Cell:
    def cell(system: Figure) -> str:
        found = _at(system, path)
        return NONE if found is None else f"{found:.{digits}f}"

    return cell


def _guarded(system: Figure) -> str:
    found = system.get("guarded copies")
    return NONE if found is None else f"{found['above']}"


def _too_much(system: Figure) -> str:
    return f"{system['copied too much']} of {system['pieces']}"


def rows(table: Figure) -> list[tuple[str, Cell]]:
    """Name and cell of each row."""
    limit = table["copy limit"]
    n = len(table["composers"])
    found: list[tuple[str, Cell]] = [
        ("nats a note on held-out works", _plain("nll")),
        ("- when, how high, how long", _by),
        ("pieces that loop", _percent("loops")),
        ("longest run of one bar", _plain("bar run", digits=1)),
        ("longest run of one sound", _plain("sound run", digits=1)),
        ("different runs of four notes", _percent("distinct")),
        ("pitch-class entropy, bits", _plain("values", "pitch-class entropy")),
        ("scale consistency", _plain("values", "scale consistency")),
        ("groove consistency", _plain("values", "groove consistency")),
        ("polyphony", _plain("values", "polyphony")),
        ("notes a quarter note", _plain("values", "note density")),
        ("overlap with real music, mean of six", _plain("overlap", "mean")),
    ]
    features: Figure = next((s["overlap"] for s in table["systems"].values() if s.get("overlap")), {})
    found += [(f"- {name}: overlap (KL)", _overlap(name)) for name in features if name != "mean"]
    found += [(f"self-similarity at {lag} bars", _plain("self-similarity", lag)) for lag in ("4", "8", "16")]
    found += [("Fréchet distance to real music", _plain("frechet", digits=3))]
    if n:
        found += [
            (f"its composer named, of {n}", _plain("named")),
            (f"its composer named, of {table['judge']['labels']}", _plain("named of all")),
            ("another's seed: the style named", _plain("swap", "style")),
            ("another's seed: the seed's composer named", _plain("swap", "seed")),
        ]
    found += [
        ("longest run shared with a learnt piece, notes", _plain("copied", digits=1)),
        (f"pieces with more than {limit['notes']:g} (95 % of real music has less)", _too_much),
        ("pieces above the guard's own limit", _guarded),
        ("ends on a cadence, last bar complete", _percent("ends")),
        ("read back: MIDI", _percent("valid", "midi")),
        ("read back: MusicXML by music21", _percent("valid", "music21")),
        ("read back: MusicXML by Verovio", _percent("valid", "verovio")),
        ("notes a second of one core", _number("speed", "notes a second")),
        ("times faster than it plays", _number("speed", "times faster than it plays", digits=1)),
        ("memory, MB", _number("cost", "memory")),
    ]
    return found


def _by(system: Figure) -> str:
    by = _at(system, ("nll", "by"))
    return NONE if not by else ", ".join(f"{by[part]:.2f}" for part in ("onset", "pitch", "duration"))


def _overlap(name: str) -> Cell:
    def cell(system: Figure) -> str:
        found = _at(system, ("overlap", name))
        if not found or found.get("value") is None:
            return NONE
        kl = f" ({found['kl']:.2f})" if found.get("kl") is not None else ""
        return f"{found['value']:.2f}{kl}"

    return cell


def markdown(table: Figure, only: Sequence[str] = ()) -> str:
    """The table; only the rows whose names begin with one of `only`, where that is given."""
    systems = {name: s for name, s in table["systems"].items() if name != "real"}
    if "real" in table["systems"]:
        systems["real"] = table["systems"]["real"]
    lines = ["| | " + " | ".join(s["title"] for s in systems.values()) + " |", "|---" * (1 + len(systems)) + "|"]
    for name, cell in rows(table):
        cells = [cell(system) for system in systems.values()]
        if any(cells) and (not only or name.startswith(tuple(only))):
            lines.append(f"| {name} | " + " | ".join(cells) + " |")
    said = (
        f"\n{table['pieces']} pieces of {table['bars']} bars by each system, after the same {table['seed bars']} bars of "
        f"{table['works']} works that none has learnt; the seed is not measured. Intervals are 95 %, over works."
    )
    left = "".join(f" {recipe}: {why}." for recipe, why in table["left out"].items())
    if only:
        return "\n".join(lines) + "\n"
    return "\n".join(lines) + "\n" + said + (f" Left out:{left}" if left else "") + "\n"


def models(table: Figure) -> str:
    """What the models of the columns are and have cost, a line each."""
    lines = []
    for recipe, about in table["models"].items():
        made = about["made"]
        facts = [f"{made[key]:,} {key}" for key in ("parameters", "epochs", "steps") if made.get(key)]
        if made.get("seconds"):
            facts.append(f"trained in {made['seconds'] / 60:.0f} minutes")
        facts.append(f"{about['bytes'] / 1e6:.1f} MB")
        known = "" if about["learnt this collection"] else "; it has not learnt this collection's learnt part"
        lines.append(f"- `{recipe}`: {', '.join(facts)}{known}")
    return "\n".join(lines) + "\n"
