"""Labels that contradict each other: the same music under two composers' names, who is right, and why.

The rule that groups works is meant to join too much; a finding that a person will read must not be a coincidence of scales and
broken chords. So a pair counts as a conflict only by its *own* grams, those found under no third composer's name: a trill or an
Alberti bass is everybody's. On 3,973 pieces of a student collection this parts true from false without exception: the weakest
true pair (Bach's concerto for four harpsichords and Vivaldi's for four violins, one movement in a whole) shares 9 % of its own
grams, the strongest coincidence (two studies by Clementi and Czerny) 5 %, though the latter shares 11 % of all grams.

A verdict is only given on evidence: catalogue numbers, names in titles, what the file says of itself, and how many different
encodings stand under each name. An arrangement is no error: Bach's organ concerto after Vivaldi keeps both names.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from difflib import SequenceMatcher
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from fugato.corpus.corpus import Piece
from fugato.corpus.facts import Facts, Known
from fugato.corpus.groups import Ints, Links
from fugato.corpus.names import canonical
from fugato.corpus.titles import work_keys
from fugato.corpus.works import Hashes, distinct, join

OWN_SHARE: Final = 0.08  # of the smaller set of own grams; see above
OWN_GRAMS: Final = 30
COPY_SHARE: Final = 0.2  # of all grams, between pieces of one label: copies that have a vote
MAJORITY: Final = 2.0  # times as many different encodings as under the next name
PLAIN_SHARE: Final = 0.25  # below it a label is not corrected: transcriptions lie here, with titles that do not say so
NAMING: Final = frozenset({"bwv", "k", "d", "rv", "hwv", "hob"})  # catalogues whose number names their composer
LEAST_NUMBER: Final = 10  # "in D 2" is a key and a movement
ALMOST: Final = 0.88  # likeness of a word to a surname, so that "chubert" is Schubert
_ARRANGED: Final = re.compile(
    r"\b(?:arr|arrang\w*|transcri\w*|paraphrase\w*|edition|after|nach|d'apres|themes?|hymn ?tune)\b"
)

Kind = Literal["wrong-label", "arrangement", "namesake", "attribution", "undecided"]
Verdict = Literal["keep", "relabel", "arrangement", "copy", "open"]


@dataclass(frozen=True)
class Claim:
    """One piece of a conflict: what it is called, and what is to become of it.

    `verdict` is "keep", "relabel" (to the conflict's `proposed`), "arrangement" (both names are right), "copy" (identical bytes
    stand under the right name, or it cannot be told under which) or "open".
    """

    id: str
    composer: str
    title: str
    verdict: Verdict


@dataclass(frozen=True)
class Conflict:
    """Pieces that are the same music under different names.

    Attributes
    ----------
    kind : "wrong-label", "arrangement", "namesake" (one surname, two people), "attribution" (one side names nobody) or "undecided"
    composers : tuple of str
    proposed : str
        The composer that the evidence names; "" where it names none.
    share : float
        The largest share of own grams between two names, 0..1; 1 for identical bytes.
    grams : int
        Grams in common in that pair.
    identical : bool
        Whether identical bytes stand under two names.
    pieces : tuple of Claim
    evidence : tuple of str
        Sentences.
    """

    kind: Kind
    composers: tuple[str, ...]
    proposed: str
    share: float
    grams: int
    identical: bool
    pieces: tuple[Claim, ...]
    evidence: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)


def find_conflicts(pieces: Sequence[Piece], known: Sequence[Known], found: Links) -> list[Conflict]:
    """All conflicts, the largest share first.

    Parameters
    ----------
    pieces, known : sequences of length n
    found : Links
        As `fugato.corpus.groups.links` gives them.
    """
    place = {label: i for i, label in enumerate(sorted({p.composer for p in pieces}))}
    label = np.array([place[p.composer] for p in pieces], np.int64)
    differ = found.joined & (label[found.first] != label[found.second])
    rows = np.flatnonzero(differ)
    own, smaller = own_grams(known, label, found.first[rows], found.second[rows])
    share = own / np.maximum(smaller, 1)
    true = (own >= OWN_GRAMS) & (share >= OWN_SHARE)
    rows, own, share = rows[true], own[true], share[true]
    same_a, same_b = _identical(known)
    copies = found.joined & ~differ & (found.share >= COPY_SHARE)
    first = np.concatenate([found.first[rows], same_a, found.first[copies]])
    second = np.concatenate([found.second[rows], same_b, found.second[copies]])
    cluster = join(len(pieces), first, second)
    strongest: dict[int, tuple[float, int]] = {}
    for r, s in zip(rows, share, strict=True):
        key = int(cluster[found.first[r]])
        strongest[key] = max(strongest.get(key, (0.0, 0)), (float(s), int(found.grams[r])))
    twice: set[int] = set()
    for a, b in zip(same_a, same_b, strict=True):
        if label[a] != label[b]:
            facts = known[int(a)].facts
            strongest[int(cluster[a])] = (1.0, len(facts.grams) if isinstance(facts, Facts) else 0)
            twice.add(int(cluster[a]))
    members: dict[int, list[int]] = defaultdict(list)
    for i, c in enumerate(cluster.tolist()):
        if c in strongest:
            members[c].append(i)
    conflicts = [
        _judge([pieces[i] for i in members[c]], [known[i] for i in members[c]], *strongest[c], identical=c in twice)
        for c in strongest
        if any(canonical(pieces[i].composer) is not None for i in members[c])
    ]
    return sorted(conflicts, key=lambda c: (-c.share, -c.grams, c.pieces[0].id))


def own_grams(known: Sequence[Known], label: Ints, first: Ints, second: Ints) -> tuple[Ints, Ints]:
    """Grams that pairs have in common and that stand under no third label.

    Returns
    -------
    common : ndarray of int64, shape=(n_pairs,)
    smaller : ndarray of int64, shape=(n_pairs,)
        Grams of at most two labels in the smaller set of each pair.
    """
    grams = [k.facts.grams if isinstance(k.facts, Facts) else np.zeros(0, np.uint32) for k in known]
    concerned = sorted({*first.tolist(), *second.tolist()})
    wanted = _set(grams[i] for i in concerned)
    count = np.zeros(len(wanted), np.int64)
    for c in range(int(label.max(initial=-1)) + 1):  # one label after another, which keeps the memory small
        theirs = _set(grams[i] for i in np.flatnonzero(label == c))
        at = np.searchsorted(theirs, wanted)
        count += (at < len(theirs)) & (theirs[np.minimum(at, len(theirs) - 1)] == wanted) if len(theirs) else 0
    rare = wanted[count <= 2]
    owned = {i: np.intersect1d(grams[i], rare, assume_unique=True) for i in concerned}
    common = np.array(
        [
            len(np.intersect1d(owned[int(a)], owned[int(b)], assume_unique=True))
            for a, b in zip(first, second, strict=True)
        ],
        np.int64,
    )
    size = [min(len(owned[int(a)]), len(owned[int(b)])) for a, b in zip(first, second, strict=True)]
    return common, np.array(size, np.int64)


def _set(grams: Iterable[Hashes]) -> Hashes:
    """Distinct grams of several pieces, ascending."""
    together = np.sort(np.concatenate([np.zeros(0, np.uint32), *grams]))
    return together[distinct(together)]


def _identical(known: Sequence[Known]) -> tuple[Ints, Ints]:
    """Each piece with the one before it that has the same bytes."""
    last: dict[str, int] = {}
    pairs: list[tuple[int, int]] = []
    for i, k in enumerate(known):
        if k.sha256 and k.sha256 in last:
            pairs.append((last[k.sha256], i))
        if k.sha256:
            last[k.sha256] = i
    table: NDArray[np.int64] = np.array(pairs, np.int64).reshape(-1, 2)
    return table[:, 0], table[:, 1]


# -- who is right ------------------------------------------------------------------------------------------------------


def _judge(pieces: Sequence[Piece], known: Sequence[Known], share: float, grams: int, *, identical: bool) -> Conflict:
    """Weigh the evidence of one cluster of pieces."""
    names = tuple(sorted({p.composer for p in pieces}))
    people = [n for n in names if canonical(n) is not None]
    named = [_others_named(p, people) for p in pieces]
    evidence = [
        f"“{p.title}” under {p.composer} also names {' and '.join(others)}"
        for p, others in zip(pieces, named, strict=True)
        if others
    ]
    numbered: dict[str, set[str]] = defaultdict(set)  # catalogues by composer whose numbers stand under the own name
    votes: Counter[str] = Counter()
    for piece in pieces:
        own = _catalogues(piece.composer, piece.title)
        numbered[piece.composer] |= own
        for other in people:
            if other != piece.composer and _catalogues(other, piece.title) and not own:
                votes[other] += 1
                evidence.append(f"“{piece.title}” under {piece.composer} bears a number of {other}'s catalogue")
    both = [n for n in people if numbered[n]]
    if len({c for n in both for c in numbered[n]}) < len(both):  # K is Köchel's and Kirkpatrick's
        both = []
    encodings = _encodings(pieces, known)
    counted = ", ".join(f"{name} {count}" for name, count in encodings.most_common())
    evidence.append(f"different encodings under each name: {counted}")
    leading = _leading(votes, 1.0) if votes else _leading(encodings, MAJORITY)
    kind: Kind = "undecided"
    proposed = ""
    if len(people) < len(names):
        kind, proposed = "attribution", people[0] if len(people) == 1 else ""
    elif len(both) > 1:
        kind = "arrangement"
        evidence.append(f"it stands in the catalogues of {' and '.join(sorted(both))}")
    elif any(named) or any(p.composer != leading and _says_arranged(p) for p in pieces):
        kind = "arrangement"
    elif any(_meant(_surname(a), _surname(b)) for a in names for b in names if a < b):
        kind = "namesake"
    elif leading and share >= PLAIN_SHARE and set(both) <= {leading}:
        kind, proposed = "wrong-label", leading
    verdicts = _verdicts(pieces, known, kind, proposed)
    claims = tuple(Claim(p.id, p.composer, p.title, v) for p, v in zip(pieces, verdicts, strict=True))
    return Conflict(kind, names, proposed, round(share, 4), grams, identical, claims, tuple(dict.fromkeys(evidence)))


def _leading(votes: Counter[str], times: float) -> str:
    """Who has more than the next, and at least so many times as many; "" where nobody has."""
    (top, most), *others = votes.most_common()
    return top if not others or (most > others[0][1] and most >= times * others[0][1]) else ""


def _verdicts(pieces: Sequence[Piece], known: Sequence[Known], kind: Kind, proposed: str) -> list[Verdict]:
    """What is to become of each piece."""
    labels: dict[str, set[str]] = defaultdict(set)
    for piece, k in zip(pieces, known, strict=True):
        labels[k.sha256].add(piece.composer)
    out: list[Verdict] = []
    for piece, k in zip(pieces, known, strict=True):
        torn = len(labels[k.sha256]) > 1  # the same bytes stand under another name
        right = bool(proposed) and piece.composer == proposed
        if torn and not right and (not proposed or proposed in labels[k.sha256]):
            out.append("copy")
        elif kind == "wrong-label":
            out.append("keep" if right else "relabel")
        else:
            out.append("arrangement" if kind == "arrangement" else "open")
    return out


def _others_named(piece: Piece, people: Iterable[str]) -> list[str]:
    """Whom of `people` the title, or the collection's own list of composers, names beside the label."""
    text = " ".join([piece.title, piece.extra.get("label", ""), piece.extra.get("composers_raw", "")])
    words = set(_words(text))
    own = _surname(piece.composer)
    surnames = {o: _surname(o) for o in people if o != piece.composer}
    return [o for o, name in surnames.items() if not _meant(own, name) and any(_meant(w, name) for w in words)]


def _says_arranged(piece: Piece) -> bool:
    return bool(_ARRANGED.search(" ".join(_plain(piece.title).split())))


def _meant(word: str, surname: str) -> bool:
    if word in (surname, f"{surname}s"):
        return True
    return len(word) > 5 and SequenceMatcher(None, word, surname).ratio() >= ALMOST


def _surname(name: str) -> str:
    words = [w for w in _words(name) if w not in ("i", "ii", "iii", "jr", "sr")]
    return words[-1] if words else ""


def _words(text: str) -> list[str]:
    return re.findall(r"[a-z]+", _plain(text)) or [""]


def _plain(text: str) -> str:
    return unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower().replace("_", " ")


def _catalogues(composer: str, title: str) -> set[str]:
    """Catalogues of this composer's works that a title bears a number of."""
    found = set()
    for key in work_keys(composer, title):
        catalogue, *numbers = key.removeprefix(f"{composer} ").split(" ")
        if catalogue in NAMING and int(numbers[-1]) >= LEAST_NUMBER:
            found.add(catalogue)
    return found


def _encodings(pieces: Sequence[Piece], known: Sequence[Known]) -> Counter[str]:
    """Number of different fingerprints under each name: a file saved again by another collection is no second witness."""
    seen: dict[str, set[bytes]] = defaultdict(set)
    for piece, k in zip(pieces, known, strict=True):
        seen[piece.composer].add(k.facts.grams.tobytes() if isinstance(k.facts, Facts) else k.sha256.encode())
    return Counter({name: len(prints) for name, prints in seen.items()})
