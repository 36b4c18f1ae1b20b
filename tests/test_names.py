"""The table of composers, and what it makes of the spellings that collections use."""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path

import pytest

from fugato.corpus.names import PERIODS, REPERTOIRES, all_composers, canonical, composer_info

SPELLINGS = {
    # foreign and wrong spellings
    "Haendel": "Handel",
    "Händel": "Handel",
    "Georg Friedrich Händel": "Handel",
    "George Frideric Handel": "Handel",
    "Mendelsonn": "Mendelssohn",
    "Felix Mendelssohn Bartholdy": "Mendelssohn",
    "Mendelssohn-Bartholdy, Felix": "Mendelssohn",
    "Skriabin": "Scriabin",
    "Tschaikowski": "Tchaikovsky",
    "Peter Ilyich Tchaikovsky": "Tchaikovsky",
    "Rachmaninov": "Rachmaninoff",
    "Buxehude": "Buxtehude",
    "Gershuin": "Gershwin",
    "Arnold Schönberg": "Schoenberg",
    "Burgmueller": "Burgmuller",
    "M&uuml;ler August Eberhard": "Muller",
    "Fryderyk Chopipn": "Chopin",
    "Reis": "Reiss",
    # accents, underscores, case
    "Albe_niz": "Albeniz",
    "Isaac Albéniz": "Albeniz",
    "Burgmu_ller": "Burgmuller",
    "Ludwig_van_Beethoven": "Beethoven",
    "Beethoven,_Ludwig_van": "Beethoven",
    "BACH": "Bach",
    "bach_js": "Bach",
    "Leoš Janáček": "Janacek",
    "Dvořák, Antonín": "Dvorak",
    "Saint Saens": "Saint-Saens",
    # order, initials, dates, catalogue codes
    "Bach, J.S.": "Bach",
    "Bach, Johann Sebastian": "Bach",
    "Johann Sebastian Bach": "Bach",
    "J. S. Bach": "Bach",
    "J.S.Bach": "Bach",
    "JS Bach": "Bach",
    "BachJS": "Bach",
    "Bach Johann Sebastian": "Bach",
    "Bach, Johann Sebastian (1685-1750)": "Bach",
    "Johann Sebastian Bach [1685-1750]": "Bach",
    "BeethovenLv": "Beethoven",
    "L. van BEETHOVEN": "Beethoven",
    "W. A. Mozart K. 156": "Mozart",
    "W.AMozart.": "Mozart",
    "Frédéric Chopin, 1810-1849": "Chopin",
    "[Chopin, Fryderyk]": "Chopin",
    "Fr. Chopin": "Chopin",
    "Schubert Franz": "Schubert",
    "Robert Franz": "Franz",
    "Philippe de Vitry\n(1291 -1361)": "Vitry",
    "Robert de Visée": "Visee",
    "Rimsky Korsakov": "Rimsky-Korsakov",
    "R. Vaughan Williams": "Vaughan Williams",
    # relatives and namesakes
    "Bach, C.P.E.": "C.P.E. Bach",
    "C.P.E.Bach": "C.P.E. Bach",
    "Carl Philipp Emanuel Bach": "C.P.E. Bach",
    "W.F. Bach": "W.F. Bach",
    "J.C. Bach": "J.C. Bach",
    "Johann Christian Bach": "J.C. Bach",
    "Scarlatti": "Scarlatti",
    "D. Scarlatti": "Scarlatti",
    "Scarlatti, Alessandro": "A. Scarlatti",
    "Haydn": "Haydn",
    "Franz Joseph Haydn": "Haydn",
    "Haydn, Michael": "M. Haydn",
    "Mozart, Leopold": "L. Mozart",
    "Clara Schumann": "C. Schumann",
    "Schumann, Robert": "Schumann",
    "Fanny Mendelssohn": "Hensel",
    "Strauss, Richard": "Strauss",
    "Strauss, J": "J. Strauss II",
    "Johann Strauss": "J. Strauss II",
    "Straus": "O. Straus",
    "Maximo Diego Pujol": "PujolM",
    "Emilio Pujol": "Pujol",
    "Maier, Amanda": "Amanda Maier",
    "Reichardt, Johann Friedrich": "J.F. Reichardt",
    # two labels of one person
    "Jacobs-Bond, Carrie": "Bond",
    "Zani": "Ferranti",
    "Logy": "Losy",
    "Torroba": "Moreno-Torroba",
    # who made this version
    "Franz Schubert / Franz Liszt": "Liszt",
    "Bach (arr. Busoni)": "Bach",
    # people whom the table does not hold keep their own name
    "Bach, Anna Magdalena": "Anna Magdalena Bach",
    "Daniel Purcell": "Daniel Purcell",
    "Williams, John": "John Williams",
    "Haydn Wood": "Haydn Wood",
    "SMITH, JOHN (1795-1861)": "John Smith",
    "Smith": "Smith",
}


@pytest.mark.parametrize(("spelling", "name"), SPELLINGS.items())
def test_a_spelling_finds_its_composer(spelling: str, name: str) -> None:
    assert canonical(spelling) == name


@pytest.mark.parametrize(
    "label",
    [
        "",
        "  ",
        "Anonymous",
        "anon.",
        "Anonim",
        "Traditional",
        "Trad.",
        "pop (various)",
        "???",
        "1685-1750",
        "Words: C. Wesley, 1739",
    ],
)
def test_a_label_that_names_nobody_is_none(label: str) -> None:
    assert canonical(label) is None
    assert composer_info(label) is None


def test_a_canonical_name_is_its_own() -> None:
    for composer in all_composers():
        assert canonical(composer.name) == composer.name
        assert canonical(composer.full) in {canonical(c.name) for c in all_composers() if c.full == composer.full}
        for spelling in composer.spellings:
            assert canonical(spelling) == composer.name, spelling


def test_every_entry_is_whole_and_no_name_stands_twice() -> None:
    composers = all_composers()
    assert not [n for n, k in Counter(c.name for c in composers).items() if k > 1]
    assert sum(c.shipped for c in composers) == 76
    for c in composers:
        assert c.period in PERIODS and c.repertoire in REPERTOIRES and c.full and c.name.isascii(), c
        if c.birth is not None and c.death is not None:
            assert 15 < c.death - c.birth < 106, c
        if c.shipped:
            assert c.birth is not None, c


def test_the_period_follows_from_the_years_where_it_says_so() -> None:
    bounds = [(1605, "Renaissance"), (1750, "Baroque"), (1820, "Classical"), (1910, "Romantic"), (9999, "Modern")]
    for c in all_composers():
        if c.period_by == "years":
            assert c.birth is not None
            year = min(c.birth + 35, c.death or 9999)
            assert c.period == next(name for bound, name in bounds if year < bound), c


def test_the_entry_tells_about_the_person() -> None:
    bach = composer_info("Bach, J.S.")
    assert bach is not None
    assert (bach.full, bach.years, bach.period, bach.repertoire) == (
        "Johann Sebastian Bach",
        "1685–1750",
        "Baroque",
        "keyboard",
    )
    brouwer = composer_info("Leo Brouwer")
    assert brouwer is not None and brouwer.years == "b. 1939"
    assert composer_info("Nobody Inparticular") is None


@pytest.mark.corpora
def test_every_label_of_the_index_maps_consistently(corpora: Path) -> None:
    with open(corpora / "index.csv", encoding="utf-8", newline="") as handle:
        labels = Counter(row["composer"] for row in csv.DictReader(handle))
    table = {c.name for c in all_composers()}
    changed = {n: canonical(n) for n in labels if canonical(n) not in (n, None)}
    assert all(name in table for name in changed.values()), changed  # a label changes only into a known composer
    assert len(changed) <= 25
    missing = {n: k for n, k in labels.items() if k >= 3 and canonical(n) is not None and canonical(n) not in table}
    assert not missing, "labels with three files or more have an entry"
