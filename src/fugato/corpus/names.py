"""Composers: one table of names, years, periods and repertoires, and a tolerant reading of how collections spell them.

`composers.json` holds one composer a line. A name is spelt as in the shared index's ``composer`` column: the plain surname for
the one that collections mean by it ("Bach", "Scarlatti"), initials for relatives and namesakes ("C.P.E. Bach"). Years are null
where they are not known. `period` follows from the years: the composer's 35th year, or the last one if that came earlier, lies
before 1605 for Renaissance, 1750 Baroque, 1820 Classical, 1910 Romantic, else Modern. Where style says otherwise, or no year is
known, ``period_by`` is "style" (Paganini Romantic, Debussy, Satie and Joplin Modern). `repertoire` is the main one as collected:
keyboard, guitar (with lute and vihuela), song, strings (with chamber music), orchestra (with wind and band), vocal (choir, stage).

`canonical` resolves a spelling in this order: the table's own spellings; then surname with given names or initials, in either
order, with or without comma. Given names that contradict the bearers of a surname make somebody new: "Bach, Anna Magdalena" is
not Bach. There is no fuzzy matching: a wrong name is worse than an unknown one.
"""

from __future__ import annotations

import html
import json
import re
import unicodedata
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib import resources
from typing import Final

PERIODS: Final = ("Renaissance", "Baroque", "Classical", "Romantic", "Modern")
REPERTOIRES: Final = ("keyboard", "guitar", "song", "strings", "orchestra", "vocal")

# labels that name no person; "game music (various)" and "pop (various)" are caught by their bracket
_NOBODY: Final = frozenset(
    {
        "anonymous",
        "anon",
        "anonim",
        "anonimo",
        "anonyme",
        "anonymus",
        "traditional",
        "trad",
        "tradition",
        "traditionnel",
        "tradicional",
        "folk",
        "folksong",
        "folksongs",
        "unknown",
        "various",
        "misc",
        "miscellaneous",
        "none",
        "na",
        "nn",
        "other",
        "others",
        "composer",
        "untitled",
    }
)
_PARTICLES: Final = frozenset(
    {
        "van",
        "von",
        "der",
        "den",
        "de",
        "di",
        "da",
        "del",
        "della",
        "d",
        "du",
        "la",
        "le",
        "of",
        "the",
        "zu",
        "zum",
        "z",
        "y",
        "i",
        "e",
        "ten",
    }
)
_TITLES: Final = frozenset(
    {
        "sir",
        "mr",
        "mrs",
        "ms",
        "miss",
        "dr",
        "prof",
        "padre",
        "don",
        "rev",
        "lord",
        "lady",
        "queen",
        "king",
        "hrh",
        "count",
        "comte",
        "chevalier",
    }
)
_LETTERS: Final = str.maketrans(
    {
        "ł": "l",
        "Ł": "L",
        "ø": "o",
        "Ø": "O",
        "ß": "ss",
        "æ": "ae",
        "Æ": "Ae",
        "œ": "oe",
        "Œ": "Oe",
        "đ": "d",
        "ı": "i",
        "ð": "d",
    }
)
_DATES: Final = re.compile(
    r"[\s,;]*\b(?:c(?:irca|a)?\.?\s*)?\d{4}\??\s*(?:[-–—/]+\s*(?:c(?:a)?\.?\s*)?(?:\d{2,4})?\??)?.*$"
)
_BRACKETS: Final = re.compile(r"\([^)]*\)?|\{[^}]*\}?|<[^>]*>")
_CREDIT: Final = re.compile(
    r"^\s*(?:attr(?:ibuted|\.)?\s+(?:to\s+)?|(?:composed|music|comp\.?)\s+by\s+|by\s+)", re.IGNORECASE
)
_ARRANGED: Final = re.compile(
    r"[\s,;]+(?:arr(?:anged|\.)?|transcr(?:ibed|\.)?|adapt(?:ed|\.)?|ed(?:ited|\.)?|orch(?:\.|estrated)?)\s.*$",
    re.IGNORECASE,
)
_CATALOGUE: Final = re.compile(r"\s+(?:K|KV|BWV|HWV|RV|D|Hob|WoO|op|opus|no)\.?\s*\d.*$", re.IGNORECASE)
_MAKERS: Final = re.compile(r"(?<![\d/])\s*/\s*(?=[^\W\d_])")
_WORDS_ONLY: Final = re.compile(r"(?:words|text|lyrics)\s*:", re.IGNORECASE)
_ACCENT_SIGN: Final = re.compile(r"^[A-Z][a-z]+_[a-z]+$")  # "Bu_sser"; elsewhere an underscore is a space
_CODE: Final = re.compile(
    r"^([A-Z][a-zß-ÿ]{2,}(?:-[A-Z][a-z]+)?)((?:[A-Z][a-z]?){1,4})$"
)  # Mutopia's folders: BachJS, BeethovenLv


@dataclass(frozen=True)
class Composer:
    """One composer of the table.

    Attributes
    ----------
    name : str
        As the index's composer column and the models spell it.
    full : str
        Given names and surname, with accents.
    birth, death : int or None
        Years; None where not known (death: or where alive).
    period : str
        One of `PERIODS`.
    repertoire : str
        One of `REPERTOIRES`: the main repertoire as collected.
    shipped : bool
        Whether the shipped identifier knows this composer.
    spellings : tuple of str
        Other spellings met in collections that the rules of `canonical` would not see through.
    period_by : "years" or "style"
        What `period` was decided by.
    """

    name: str
    full: str
    birth: int | None
    death: int | None
    period: str
    repertoire: str
    shipped: bool
    spellings: tuple[str, ...] = ()
    period_by: str = "years"

    @property
    def years(self) -> str:
        """For people: "1685–1750", "b. 1939", or "" where nothing is known."""
        if self.birth is None:
            return f"d. {self.death}" if self.death is not None else ""
        return f"{self.birth}–{self.death}" if self.death is not None else f"b. {self.birth}"


@cache
def all_composers() -> tuple[Composer, ...]:
    """The whole table, the shipped composers first, each part in alphabetical order."""
    text = resources.files("fugato.corpus").joinpath("composers.json").read_text(encoding="utf-8")
    return tuple(Composer(**{**row, "spellings": tuple(row["spellings"])}) for row in json.loads(text))


def composer_info(name: str) -> Composer | None:
    """The table's entry for any spelling of a composer, or None for somebody it does not hold."""
    known = canonical(name)
    return _by_name().get(known) if known is not None else None


@lru_cache(maxsize=65_536)
def canonical(name: str) -> str | None:
    """The house's spelling of a composer's name.

    Parameters
    ----------
    name : str
        As a folder, a file's metadata or a catalogue has it: "Haendel", "Albe_niz", "Bach, J.S. (1685-1750)", "BachJS".
        In "Schubert / Liszt" the last is taken, the one who made this version, as MAESTRO's labels mean it.

    Returns
    -------
    str or None
        The table's name; for somebody who is not in it the tidied name without accents ("Smith, John" gives "John Smith");
        None for names that mean nobody ("Anonymous", "Traditional", "various", an author of words alone, an empty text).

    Examples
    --------
    >>> canonical("Bach, Johann Sebastian"), canonical("Bach, C.P.E."), canonical("Skriabin"), canonical("Traditional")
    ('Bach', 'C.P.E. Bach', 'Scriabin', None)
    """
    text = unicodedata.normalize("NFC", html.unescape(name)).replace("\\footnotemark", " ").strip()
    exact = _exact()
    for spelling in _underscores(text):
        if found := exact.get(_key(spelling)):
            return found
    if _WORDS_ONLY.match(text) or any(_NOBODY & set(_tokens(bracket)) for bracket in _BRACKETS.findall(text)):
        return None
    if len(makers := _MAKERS.split(text)) > 1:
        return canonical(makers[-1])
    for spelling in _underscores(text):
        cleaned = _clean(spelling)
        if found := exact.get(_key(cleaned)) or _by_parts(cleaned):
            return found
    return _tidied(
        _clean(re.sub(r"(?<=[a-z])_(?=[a-z])", "", text) if _ACCENT_SIGN.search(text) else text.replace("_", " "))
    )


# -- taking a spelling apart -------------------------------------------------------------------------------------------


def _fold(text: str) -> str:
    """Without accents, and ligatures and barred letters written in ASCII."""
    decomposed = unicodedata.normalize("NFKD", text.translate(_LETTERS))
    return "".join(c for c in decomposed if not unicodedata.combining(c))


def _tokens(text: str) -> list[str]:
    return re.findall(r"[^\W_]+", _fold(text).replace("'", "").replace("’", "").replace("ʻ", "").lower())


def _key(text: str) -> str:
    return " ".join(_tokens(text))


def _underscores(text: str) -> list[str]:
    """The readings of a folder name: an underscore or tilde may stand for an accent ("Albe_niz") or for a space."""
    bare = text.replace("~", "")
    return (
        list(dict.fromkeys([text, bare.replace("_", " "), bare.replace("_", "")]))
        if "_" in bare or bare != text
        else [text]
    )


def _clean(text: str) -> str:
    """Without brackets, dates, credits, arrangers and stray signs."""
    text = _BRACKETS.sub(" ", text.replace("[", " ").replace("]", " "))
    text = _ARRANGED.sub("", _CREDIT.sub("", text))
    text = _DATES.sub("", _CATALOGUE.sub("", text.split("\n")[0]))
    return re.sub(r"\s+", " ", text).strip(
        " ,;:.-–—?*\"'\\" if not re.search(r"\b[A-Z]\.$", text) else " ,;:-–—?*\"'\\"
    )


def _tidied(text: str) -> str | None:
    """A name that the table does not hold, in one spelling; None if it names nobody."""
    folded = _fold(text)
    tokens = _tokens(text)
    if not tokens or tokens[0] in _NOBODY or tokens[-1] in _NOBODY or not re.search(r"[^\W\d_]", folded):
        return None
    surname, comma, given = folded.partition(",")
    if comma and given.strip() and "," not in given:
        folded = f"{given.strip()} {surname.strip()}"
    elif code := _CODE.match(folded):
        folded = f"{'.'.join(c for c in code[2] if c.isupper())}. {code[1]}"
    if folded.isupper() or folded.islower():
        folded = re.sub(r"[^\W\d_]+", lambda m: m[0].capitalize() if len(m[0]) > 1 else m[0].upper(), folded)
    return folded


def _initials(tokens: list[str], text: str) -> list[str]:
    """Given names as they are compared: particles and titles dropped, "JS" and "J.S" opened into initials."""
    shouted = text.isupper()
    capitals = {t.lower() for t in re.findall(r"\b[A-Z]{2,4}\b", _fold(text))} if not shouted else set()
    out: list[str] = []
    for token in tokens:
        if token in capitals and token not in ("ii", "iii", "iv"):
            out.extend(token)
        elif token not in _PARTICLES and token not in _TITLES:
            out.append(token)
    return out


def _by_parts(text: str) -> str | None:
    """Resolve surname and given names against the table."""
    if code := _CODE.match(_fold(text)):
        given = [c.lower() for c in code[2] if c.isupper()]
        if found := _bearer(_key(code[1]), given):
            return found
    before, comma, after = text.partition(",")
    if comma:
        surname = " ".join(t for t in _tokens(before) if t not in _TITLES)
        given = _initials(_tokens(after), after)
        turned = _exact().get(_key(f"{after} {before}"))
        return turned or _bearer(surname, given) or _bearer(_without_particles(surname), given)
    tokens = _tokens(text)
    for size in range(min(3, len(tokens)), 0, -1):  # "Ralph Vaughan Williams", then "Ludwig van Beethoven"
        rest = tokens[:-size]
        if found := _bearer(" ".join(tokens[-size:]), _initials(rest, text)):
            return found
    for size in range(min(3, len(tokens) - 1), 0, -1):  # "Bach Johann Sebastian"
        rest = tokens[size:]
        if found := _bearer(" ".join(tokens[:size]), _initials(rest, text)):
            return found
    return None


def _without_particles(surname: str) -> str:
    kept = [t for t in surname.split() if t not in _PARTICLES]
    return " ".join(kept) if kept else surname


def _bearer(surname: str, given: list[str]) -> str | None:
    """Who of that surname the given names fit; the best known where several do, and where none are given."""
    people = _by_surname().get(surname) or _by_surname().get(_digraphs(surname), [])
    if not given:
        return next((name for name, _, default in people if default), None)
    fitting = [(name, default, _fits(given, theirs)) for name, theirs, default in people]
    ranked = sorted((f for f in fitting if f[2]), key=lambda f: (-f[2], not f[1]))
    return ranked[0][0] if ranked else None


def _fits(given: list[str], theirs: tuple[str, ...]) -> int:
    """2 if the given names agree with a person's from the first on, 1 if they agree with later ones only, 0 if they do not."""
    position, first = 0, -1
    for name in given:
        for at in range(position, len(theirs)):
            if theirs[at].startswith(name):  # the name itself, an abbreviation or an initial
                first = at if first < 0 else first
                position = at + 1
                break
        else:
            return 0
    return 2 if first == 0 else 1


def _digraphs(text: str) -> str:
    """ "haendel" and "handel", "schoenberg" and "schonberg" as one."""
    return re.sub(r"([aou])e", r"\1", text)


# -- the table, indexed once on first use ------------------------------------------------------------------------------


@cache
def _by_name() -> dict[str, Composer]:
    return {c.name: c for c in all_composers()}


@cache
def _exact() -> dict[str, str]:
    """Every spelling of the table, as a key, to the name; a composer's own name is never taken by another's spelling."""
    table: dict[str, str] = {}
    for composer in all_composers():
        for spelling in (composer.full, *composer.spellings):
            table.setdefault(_key(spelling), composer.name)
    table.update({_key(c.name): c.name for c in all_composers()})
    return table


@cache
def _by_surname() -> dict[str, list[tuple[str, tuple[str, ...], bool]]]:
    """Surname to its bearers: name, given names, and whether the bare surname means this one."""
    table: dict[str, list[tuple[str, tuple[str, ...], bool]]] = {}
    for composer in all_composers():
        own = _tokens(composer.name)
        while len(own) > 1 and len(own[0]) == 1:  # initials in "C.P.E. Bach" are no part of the surname
            own = own[1:]
        surname = " ".join(t for t in own if t not in ("ii",))
        is_default = _key(composer.name) == surname
        for spelling in (composer.full, *composer.spellings):
            tokens = _tokens(spelling.replace(",", " "))
            if len(tokens) == 1 and is_default:
                table.setdefault(tokens[0], []).append((composer.name, _given(composer.full, surname), True))
            elif set(surname.split()) <= set(tokens):
                table.setdefault(surname, []).append((composer.name, _given(spelling, surname), is_default))
            elif "," not in spelling and len(tokens) > 1:  # another surname: "Peter Warlock", "Fanny Mendelssohn"
                table.setdefault(tokens[-1], []).append((composer.name, _given(spelling, tokens[-1]), False))
    for surname in list(table):
        if (plain := _digraphs(surname)) != surname:
            table.setdefault(plain, table[surname])
    return table


def _given(full: str, surname: str) -> tuple[str, ...]:
    drop = set(surname.split()) | _PARTICLES | _TITLES
    return tuple(t for t in _tokens(full) if t not in drop)
