"""Titles name works by catalogue and opus numbers, which count only together with their composer."""

from __future__ import annotations

import pytest

from fugato.composer.titles import for_people
from fugato.corpus.titles import work_keys


@pytest.mark.parametrize(
    ("composer", "title", "key"),
    [
        ("Bach", "Bwv0593 Vivaldi Concerto Arrangement RV522", "Bach bwv 593"),
        ("Bach", "Cello Suite II - BWV 1008 (BWV 1008) [3]", "Bach bwv 1008"),
        ("Mozart", "K525 Serenade 1mov _Eine Kleine Nachtmusik_", "Mozart k 525"),
        ("Mozart", "Mozart_Serenade_No13_KV525", "Mozart k 525"),
        ("Scarlatti", "K082", "Scarlatti k 82"),
        ("Schubert", "Moments musicaux op94 D780 n4", "Schubert d 780"),
        ("Vivaldi", "Concerto op3 n08 for 2 Violins RV522 1mov", "Vivaldi rv 522"),
        ("Handel", "Harpsichord Suite n3 Hwv428 1mov", "Handel hwv 428"),
        ("Haydn", "Sonata in C Major, Hob. XVI: 50, I. Allegro", "Haydn hob xvi 50"),
        ("Chopin", "Mazurka in F-sharp Minor, Op. 6, No. 1", "Chopin op 6 1"),
        ("Beethoven", "Symphony n5 op67 2mov", "Beethoven op 67"),
    ],
)
def test_a_number_in_a_title_names_the_work(composer: str, title: str, key: str) -> None:
    assert key in work_keys(composer, title)


def test_movements_of_a_sonata_share_a_key() -> None:
    first = work_keys("Beethoven", 'Sonata No. 21 in C Major, Op. 53, "Waldstein", First Movement')
    assert first & work_keys("Beethoven", "Waldstein op53 3mov")


def test_the_same_number_of_two_composers_is_two_works() -> None:
    assert not work_keys("Mozart", "K. 331") & work_keys("Scarlatti", "K. 331")
    assert not work_keys("Chopin", "op. 10 no. 3") & work_keys("Beethoven", "op. 10 no. 3")


def test_a_catalogue_counts_only_for_its_composer() -> None:
    assert not any("bwv" in key for key in work_keys("Liszt", "Prelude and fugue BWV 543"))


@pytest.mark.parametrize("title", ["Rondo in C", "Ave Maria", "Nocturne", "", "2. Satz"])
def test_a_title_without_a_number_names_no_work(title: str) -> None:
    assert work_keys("Mozart", title) == frozenset()


@pytest.mark.parametrize(
    ("listed", "shown"),
    [
        ("Nun ruhen alle W&auml;lder", "Nun ruhen alle Wälder"),
        ("Bwv001- 400 Chorales / 017507ch", "BWV 1–400 Chorales: BWV 175/7"),
        ("sonatas / K499", "Sonatas: K499"),
        ("Chorale setting \\ (BWV 511)", "Chorale setting (BWV 511)"),
        ("Tom & Jerry <b>&lt;i&gt;</b>", "Tom & Jerry <b><i></b>"),
        ("Mazurka, Op. 6, No. 2 | Sotto voce ([half-dot]=63)", "Mazurka, Op. 6, No. 2, Sotto voce"),
        ("Nocturne op. 9 no. 2", "Nocturne op. 9 no. 2"),
        ("", ""),
    ],
)
def test_recognised_works_are_named_as_people_write_them(listed: str, shown: str) -> None:
    assert for_people(listed) == shown
