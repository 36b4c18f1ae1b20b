"""What is wrong with a collection: unreadable files, copies, works in several files, contradicting labels; and a corrected index.

`audit` reads every file in a sandboxed process, compares the music by fingerprints and the titles by catalogue numbers, and only
reports: the collection itself is never touched. `AuditReport.write` leaves beside the report an index with the columns ``group``,
``exclude`` and ``label_corrected``, which every command that takes a collection accepts in place of the folder.

A label is corrected only where the evidence is plain (see `fugato.corpus.conflicts`); an arrangement keeps its label, and what is
undecided is left to a person.
"""

from __future__ import annotations

import json
import os
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np

from fugato.corpus.conflicts import Conflict, find_conflicts
from fugato.corpus.corpus import Corpus, load_corpus, write_index
from fugato.corpus.facts import Artefacts, Facts, Known, Progress, read_facts
from fugato.corpus.groups import group_pieces, links
from fugato.errors import FugatoError

ON_GRID: Final = 0.95  # share of onsets from which a file counts as notated on the grid
SHOWN: Final = 20  # of a kind of finding in audit.md, where a list could be long


class Unreadable(NamedTuple):
    """A file that no reader takes: its id, the kind of `FugatoError`, and the reason in words."""

    id: str
    kind: str
    reason: str


@dataclass(frozen=True, eq=False)
class AuditReport:
    """What an audit found.

    Attributes
    ----------
    corpus : Corpus
        As audited, with its own labels.
    known : tuple of Known, length n
        Checksum and facts of every piece, in order.
    groups : tuple of str, length n
        The work of every piece: the id of its first piece.
    unreadable : tuple of Unreadable
    changed : tuple of str
        Ids whose bytes are not those that the index has the checksum of.
    duplicates : tuple of tuple of str
        Ids with identical bytes, at least two in each.
    conflicts : tuple of Conflict
    probe : dict or None
        Figures of the artefact probe (`fugato.study.probe`), where somebody asked for it.
    """

    corpus: Corpus
    known: tuple[Known, ...]
    groups: tuple[str, ...]
    unreadable: tuple[Unreadable, ...]
    changed: tuple[str, ...]
    duplicates: tuple[tuple[str, ...], ...]
    conflicts: tuple[Conflict, ...]
    probe: dict[str, Any] | None = field(default=None)

    @property
    def works(self) -> dict[str, list[str]]:
        """Ids by work, only works of several pieces, the largest first."""
        members: dict[str, list[str]] = defaultdict(list)
        for piece, group in zip(self.corpus, self.groups, strict=True):
            members[group].append(piece.id)
        shared = {group: ids for group, ids in members.items() if len(ids) > 1}
        return dict(sorted(shared.items(), key=lambda item: (-len(item[1]), item[0])))

    @property
    def relabelled(self) -> dict[str, str]:
        """The corrected composer, by id."""
        return {c.id: x.proposed for x in self.conflicts for c in x.pieces if c.verdict == "relabel"}

    @property
    def excluded(self) -> dict[str, str]:
        """Why a piece should be left out, by id."""
        out = {u.id: f"unreadable ({u.kind}): {u.reason}" for u in self.unreadable}
        for conflict in self.conflicts:
            for claim in conflict.pieces:
                if claim.verdict == "copy":
                    others = ", ".join(c for c in conflict.composers if c != claim.composer)
                    out[claim.id] = f"identical bytes stand under another name ({others})"
        return out

    def corrected(self) -> Corpus:
        """The same pieces with works and corrected labels; what is excluded is still in it."""
        right = self.relabelled
        hashes = [k.sha256 for k in self.known]
        return Corpus(
            (
                replace(p, group=g, composer=right.get(p.id, p.composer), sha256=h)
                for p, g, h in zip(self.corpus, self.groups, hashes, strict=True)
            ),
            self.corpus.name,
            self.corpus.skipped,
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values: numbers first, then every finding."""
        works = self.works
        out: dict[str, Any] = {
            "corpus": self.corpus.name,
            "pieces": len(self.corpus),
            "composers": len(self.corpus.composers()),
            "works": len(set(self.groups)),
            "pieces_in_shared_works": sum(map(len, works.values())),
            "relabelled": self.relabelled,
            "excluded": self.excluded,
            "conflicts": [c.to_dict() for c in self.conflicts],
            "unreadable": [u._asdict() for u in self.unreadable],
            "changed": list(self.changed),
            "duplicates": [list(d) for d in self.duplicates],
            "groups": works,
            "files": self.files(),
            "skipped": [{"path": path, "reason": reason} for path, reason in self.corpus.skipped],
        }
        return {**out, "probe": self.probe} if self.probe is not None else out

    def files(self) -> dict[str, Any]:
        """How the readable files were made: numbers by which a collection's parts can be told apart."""
        rows = [k.facts.artefacts for k in self.known if isinstance(k.facts, Facts)]
        if not rows:
            return {}
        table = np.array(rows, np.float64)
        column = {name: table[:, i] for i, name in enumerate(Artefacts._fields)}
        resolutions = Counter(int(t) for t in column["ticks_per_quarter"]).most_common()
        return {
            "readable": len(rows),
            "ticks_per_quarter": {str(ticks): count for ticks, count in resolutions},
            "on_grid": int((column["on_grid"] >= ON_GRID).sum()),
            "one_velocity": int((column["velocity_values"] == 1).sum()),
            "median_parts": float(np.median(column["parts"])),
            "median_tempos": float(np.median(column["tempos"])),
        }

    def table(self) -> list[tuple[str, str]]:
        """Rows for a terminal: what was counted, and how many."""
        kinds = Counter(c.kind for c in self.conflicts)
        works = self.works
        rows: list[tuple[str, int]] = [
            ("pieces", len(self.corpus)),
            ("composers", len(self.corpus.composers())),
            ("works", len(set(self.groups))),
            ("pieces that share a work", sum(map(len, works.values()))),
            ("identical files", sum(map(len, self.duplicates))),
            ("unreadable files", len(self.unreadable)),
            ("files passed over", len(self.corpus.skipped)),
            ("changed since the index was made", len(self.changed)),
            ("contradicting labels", len(self.conflicts)),
            *((f"  {kind}", count) for kind, count in sorted(kinds.items())),
            ("labels corrected", len(self.relabelled)),
            ("pieces to leave out", len(self.excluded)),
        ]
        return [(name, f"{count:,}") for name, count in rows]

    def write(self, folder: str | os.PathLike[str]) -> Path:
        """Write audit.json, audit.md and index.csv (the corrected index) into a folder, made where it is missing.

        Raises
        ------
        FugatoError
            ``bad-output``; also where an index.csv lies in that folder that is no audit's.
        """
        target = Path(folder)
        if (target / "index.csv").exists() and not (target / "audit.json").exists():
            raise FugatoError(
                "bad-output", "There is another index.csv in it; give another folder for the report.", str(target)
            )
        try:
            target.mkdir(parents=True, exist_ok=True)
            text = json.dumps(self.to_dict(), ensure_ascii=True, indent=1)
            (target / "audit.json").write_text(text + "\n", encoding="utf-8")
            (target / "audit.md").write_text(self.to_markdown(), encoding="utf-8", errors="replace")
        except OSError as error:
            raise FugatoError("bad-output", f"It cannot be written ({error.strerror}).", str(target)) from error
        write_index(self.corrected(), target / "index.csv", exclude=self.excluded)
        return target

    def to_markdown(self) -> str:
        """The report for a reader: counts, conflicts with their evidence, then the lists."""
        lines = [f"# Audit of {self.corpus.name or 'a collection'}", "", "| | |", "|---|---:|"]
        lines += [f"| {name.strip()} | {count} |" for name, count in self.table()]
        lines += ["", "## Contradicting labels", ""]
        for c in self.conflicts:
            verdict = f": {c.proposed}" if c.proposed else ""
            same = "identical bytes" if c.identical else f"{c.share:.0%} of the music in common"
            lines.append(f"### {' / '.join(c.composers)} ({c.kind}{verdict}; {same})")
            lines += ["", *(f"- {p.composer}: {p.title} (`{p.id}`) — {p.verdict}" for p in c.pieces), ""]
            lines += [f"  {sentence}." for sentence in c.evidence] + [""]
        lines += [] if self.conflicts else ["None.", ""]
        lines += ["## Unreadable files", "", *_listed([f"`{u.id}`: {u.reason} ({u.kind})" for u in self.unreadable])]
        lines += ["## Identical files", "", *_listed([", ".join(f"`{i}`" for i in d) for d in self.duplicates])]
        title = {p.id: f"{p.composer}: {p.title}" for p in self.corpus}
        works = [f"{len(ids)} files, first {title[ids[0]]} (`{ids[0]}`)" for ids in self.works.values()]
        lines += ["## Works in several files", "", *_listed(works)]
        if self.probe is not None:
            lines += ["## Artefact probe", "", "```json", json.dumps(self.probe, indent=1), "```", ""]
        return "\n".join(lines)


def _listed(findings: Sequence[str]) -> list[str]:
    more = [f"- … and {len(findings) - SHOWN:,} more in audit.json"] if len(findings) > SHOWN else []
    return [*(f"- {f}" for f in findings[:SHOWN]), *more, ""] if findings else ["None.", ""]


def audit(
    corpus: Corpus | str | os.PathLike[str],
    *,
    jobs: int = 2,
    store: bool = True,
    progress: Progress | None = None,
) -> AuditReport:
    """Read a whole collection and say what is wrong with it.

    Parameters
    ----------
    corpus : Corpus, or what `load_corpus` takes
    jobs : int
        Reading processes.
    store : bool
        Keep fingerprints in ``FUGATO_HOME/cache``, so that the next audit or training parses nothing again.
    progress : callable, optional
        Told (pieces done, pieces in all) now and then.

    Raises
    ------
    FugatoError
        ``bad-data`` where there is no collection, ``bad-option`` for no job. A file that cannot be read is a finding.
    """
    collection = load_corpus(corpus)
    known = read_facts(collection, jobs=jobs, store=store, progress=progress)
    found = links(known)
    ids = collection.ids
    copies: dict[str, list[str]] = defaultdict(list)
    for piece, k in zip(collection, known, strict=True):
        if k.sha256:
            copies[k.sha256].append(piece.id)
    return AuditReport(
        corpus=collection,
        known=tuple(known),
        groups=tuple(ids[i] for i in group_pieces(collection.pieces, known, found)),
        unreadable=tuple(
            Unreadable(i, k.facts.kind, k.facts.message)
            for i, k in zip(ids, known, strict=True)
            if isinstance(k.facts, FugatoError)
        ),
        changed=tuple(
            p.id for p, k in zip(collection, known, strict=True) if p.sha256 and k.sha256 and p.sha256 != k.sha256
        ),
        duplicates=tuple(tuple(same) for same in copies.values() if len(same) > 1),
        conflicts=tuple(find_conflicts(collection.pieces, known, found)),
    )
