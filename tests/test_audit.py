"""The audit finds unreadable files, copies, works and contradicting labels, and its index is a collection again."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from fugato.corpus import AuditReport, audit, load_corpus, work_groups
from fugato.corpus import facts as facts_module
from fugato.corpus.conflicts import Conflict
from fugato.corpus.facts import Facts, facts_of, read_facts
from fugato.errors import FugatoError
from fugato.read import read
from fugato.score import Score

from .music_files import midi_of, piece, scales

RONDO = piece(1, 300)


def collection(root: Path, files: dict[str, bytes]) -> Path:
    for name, data in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    return root


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A Beethoven rondo in two editions and once more as Mozart's, an arrangement, a copy, other music and a broken file."""
    return collection(
        tmp_path / "music",
        {
            "Beethoven/Rondo Opus 51.mid": midi_of(RONDO),
            "Beethoven/Op51.mid": midi_of(played_twice(RONDO), qpm=90),
            "Beethoven/Other.mid": midi_of(piece(2)),
            "Beethoven/Other again.mid": midi_of(piece(2)),
            "Mozart/Rondo in C.mid": midi_of(RONDO.transpose(2), ticks=96, velocities=(30, 90)),
            "Mozart/KV 545.mid": midi_of(piece(3)),
            "Mozart/Sonata KV 545 2. Satz.mid": midi_of(piece(4)),
            "Bach/Concerto after Vivaldi.mid": midi_of(piece(5, 300).transpose(-3)),
            "Vivaldi/Concerto RV 522.mid": midi_of(piece(5, 300)),
            "Satie/broken.mid": b"MThd and no more",
            "Satie/Gnossienne.mid": midi_of(piece(6)),
        },
    )


def played_twice(score: Score) -> Score:
    notes = score.notes
    return Score.from_notes(
        np.concatenate([notes["onset"], notes["onset"] + score.end + 1]),
        np.tile(notes["duration"], 2),
        np.tile(notes["pitch"], 2),
    )


def conflict_of(report: AuditReport, *names: str) -> Conflict:
    return next(c for c in report.conflicts if set(c.composers) == set(names))


def group(report: AuditReport, name: str) -> str:
    return report.groups[report.corpus.ids.index(name)]


def test_a_file_that_cannot_be_read_is_named_with_its_reason(folder: Path, fugato_home: Path) -> None:
    report = audit(folder, jobs=1)
    assert [(u.id, u.kind) for u in report.unreadable] == [("Satie/broken.mid", "corrupt")]
    assert "unreadable" in report.excluded["Satie/broken.mid"]


def test_identical_files_are_listed_together(folder: Path, fugato_home: Path) -> None:
    assert audit(folder, jobs=1).duplicates == (("Beethoven/Other again.mid", "Beethoven/Other.mid"),)


def test_copies_in_another_key_and_tempo_are_one_work(folder: Path, fugato_home: Path) -> None:
    report = audit(folder, jobs=1)
    assert (
        len({group(report, n) for n in ("Beethoven/Rondo Opus 51.mid", "Beethoven/Op51.mid", "Mozart/Rondo in C.mid")})
        == 1
    )
    assert group(report, "Satie/Gnossienne.mid") == "Satie/Gnossienne.mid"


def test_movements_with_one_catalogue_number_are_one_work(folder: Path, fugato_home: Path) -> None:
    report = audit(folder, jobs=1)
    assert group(report, "Mozart/KV 545.mid") == group(report, "Mozart/Sonata KV 545 2. Satz.mid")


def test_a_wrong_label_is_found_and_the_majority_of_encodings_names_the_composer(
    folder: Path, fugato_home: Path
) -> None:
    report = audit(folder, jobs=1)
    found = conflict_of(report, "Beethoven", "Mozart")
    assert (found.kind, found.proposed) == ("wrong-label", "Beethoven")
    assert found.share > 0.5
    assert report.relabelled == {"Mozart/Rondo in C.mid": "Beethoven"}


def test_an_arrangement_keeps_both_names(folder: Path, fugato_home: Path) -> None:
    found = conflict_of(audit(folder, jobs=1), "Bach", "Vivaldi")
    assert found.kind == "arrangement"
    assert {p.verdict for p in found.pieces} == {"arrangement"}


def test_two_labels_with_a_copy_each_are_left_to_a_person(tmp_path: Path, fugato_home: Path) -> None:
    one, other = midi_of(RONDO), midi_of(RONDO, ticks=96)
    report = audit(collection(tmp_path / "m", {"Haydn/a.mid": one, "Mozart/b.mid": other}), jobs=1)
    assert [(c.kind, c.proposed) for c in report.conflicts] == [("undecided", "")]
    assert report.relabelled == {} and report.excluded == {}


def test_identical_bytes_under_two_names_are_left_out(tmp_path: Path, fugato_home: Path) -> None:
    report = audit(collection(tmp_path / "m", {"Haydn/a.mid": midi_of(RONDO), "Mozart/b.mid": midi_of(RONDO)}), jobs=1)
    assert report.conflicts[0].identical
    assert set(report.excluded) == {"Haydn/a.mid", "Mozart/b.mid"}


def test_a_catalogue_number_of_somebody_else_decides(tmp_path: Path, fugato_home: Path) -> None:
    files = {"Schumann/Moment musical D 780.mid": midi_of(RONDO), "Schubert/no 5.mid": midi_of(RONDO, ticks=96)}
    report = audit(collection(tmp_path / "m", files), jobs=1)
    assert report.relabelled == {"Schumann/Moment musical D 780.mid": "Schubert"}
    assert any("catalogue" in sentence for sentence in report.conflicts[0].evidence)


def test_one_surname_may_be_two_people(tmp_path: Path, fugato_home: Path) -> None:
    files = {"Strauss/Waltz.mid": midi_of(RONDO), "Strauss, Johann II/Danube.mid": midi_of(RONDO, ticks=96)}
    report = audit(collection(tmp_path / "m", files), jobs=1)
    assert [c.kind for c in report.conflicts] == ["namesake"]


def test_figures_that_everybody_writes_are_no_conflict(tmp_path: Path, fugato_home: Path) -> None:
    study = scales(20, octaves=3)
    files = {
        f"{name}/Study.mid": midi_of(study.transpose(i)) for i, name in enumerate(["Czerny", "Cramer", "Clementi"])
    }
    assert audit(collection(tmp_path / "m", files), jobs=1).conflicts == ()


def test_the_corrected_index_is_a_collection_without_what_was_wrong(
    folder: Path, tmp_path: Path, fugato_home: Path
) -> None:
    report = audit(folder, jobs=1)
    out = report.write(tmp_path / "report")
    again = load_corpus(out / "index.csv")
    labels = dict(zip(again.ids, again.labels, strict=True))
    assert labels["Mozart/Rondo in C.mid"] == "Beethoven"
    assert "Satie/broken.mid" not in labels and len(labels) == len(report.corpus) - 1
    assert {p.id: p.group for p in again} == {
        i: g for i, g in zip(report.corpus.ids, report.groups, strict=True) if i in labels
    }
    assert again.open(again[0]) and all(p.sha256 for p in again)
    assert [c.kind for c in audit(again, jobs=1).conflicts] == ["arrangement"]


def test_the_report_is_json_and_readable_text(folder: Path, tmp_path: Path, fugato_home: Path) -> None:
    report = audit(folder, jobs=1)
    out = report.write(tmp_path / "report")
    found = json.loads((out / "audit.json").read_text(encoding="utf-8"))
    assert found == json.loads(json.dumps(report.to_dict()))
    assert found["pieces"] == 11 and found["relabelled"] == report.relabelled
    text = (out / "audit.md").read_text(encoding="utf-8")
    assert "Beethoven / Mozart (wrong-label: Beethoven" in text and "broken.mid" in text
    assert dict(report.table())["unreadable files"] == "1"


def test_another_index_is_not_overwritten(folder: Path, tmp_path: Path, fugato_home: Path) -> None:
    (tmp_path / "index.csv").write_text("path,composer\n", encoding="utf-8")
    with pytest.raises(FugatoError) as caught:
        audit(folder, jobs=1).write(tmp_path)
    assert caught.value.kind == "bad-output"
    assert (tmp_path / "index.csv").read_text(encoding="utf-8") == "path,composer\n"


def test_a_changed_file_and_a_missing_one_are_reported(tmp_path: Path, fugato_home: Path) -> None:
    root = collection(tmp_path, {"a.mid": midi_of(piece(1)), "b.mid": midi_of(piece(2))})
    (root / "index.csv").write_text(
        f"id,path,composer,sha256\n1,a.mid,Bach,{'0' * 64}\n2,b.mid,Bach,\n", encoding="utf-8"
    )
    corpus = load_corpus(root / "index.csv")
    (root / "b.mid").unlink()
    report = audit(corpus, jobs=1)
    assert report.changed == ("1",)
    assert [(u.id, u.kind) for u in report.unreadable] == [("2", "bad-data")]


def test_works_that_the_collection_itself_links_stay_together(tmp_path: Path, fugato_home: Path) -> None:
    root = collection(tmp_path, {f"{i}.mid": midi_of(piece(i)) for i in range(5)})
    lines = [
        f"{i},{i}.mid,Bach,{pair},{g}"
        for i, (pair, g) in enumerate([("x", ""), ("x", ""), ("", "g"), ("", "g"), ("", "")])
    ]
    (root / "index.csv").write_text("\n".join(["id,path,composer,pair,group", *lines]) + "\n", encoding="utf-8")
    assert work_groups(root, jobs=1) == ["0", "0", "2", "2", "4"]


# -- the store ---------------------------------------------------------------------------------------------------------


def test_a_second_audit_reads_no_music(folder: Path, fugato_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = audit(folder, jobs=1)
    asked: list[object] = []

    def none_but_broken(sources: object, **options: object) -> object:
        for source in sources:  # type: ignore[attr-defined]
            asked.append(source.name)
        return iter(())

    monkeypatch.setattr(facts_module, "read_many", none_but_broken)
    corpus = load_corpus(folder).filter(lambda p: "broken" not in p.id)
    known = read_facts(corpus, jobs=1)
    assert asked == []
    before = {i: k.facts for i, k in zip(first.corpus.ids, first.known, strict=True)}
    for piece_id, k in zip(corpus.ids, known, strict=True):
        old = before[piece_id]
        assert isinstance(k.facts, Facts) and isinstance(old, Facts)
        assert k.facts.grams.tolist() == old.grams.tolist()
        assert (k.facts.artefacts, k.facts.notes, k.facts.seconds, k.facts.text) == (
            old.artefacts,
            old.notes,
            old.seconds,
            old.text,
        )


def test_a_damaged_store_is_read_anew(folder: Path, fugato_home: Path) -> None:
    groups = work_groups(folder, jobs=1)
    files = list(fugato_home.rglob("*.npz"))
    assert files
    for file in files:
        file.write_bytes(b"PK\x03\x04 nothing")
    assert work_groups(folder, jobs=1) == groups


def test_nothing_is_kept_where_that_is_not_wanted(folder: Path, fugato_home: Path) -> None:
    work_groups(folder, jobs=1, store=False)
    assert not fugato_home.exists()


def test_facts_survive_the_way_from_the_worker() -> None:
    facts = facts_of(read(midi_of(piece(1), ticks=96, velocities=(20, 60), tracks=3, name="Sonata é")))
    back = Facts.from_bytes(facts.to_bytes())
    assert back.grams.tolist() == facts.grams.tolist()
    assert (back.artefacts, back.notes, back.text) == (facts.artefacts, facts.notes, facts.text)
    assert (back.artefacts.ticks_per_quarter, back.artefacts.parts, back.artefacts.velocity_values) == (96, 3, 2)
    assert back.artefacts.on_grid == 1.0


# -- real files --------------------------------------------------------------------------------------------------------


@pytest.mark.corpora
def test_known_errors_of_a_real_collection_are_found(corpora: Path, fugato_home: Path) -> None:
    rows = list(csv.DictReader((corpora / "index.csv").open(encoding="utf-8")))
    wanted = {"Beethoven", "Mozart", "Schubert", "Schumann", "Vivaldi", "Liszt", "Paganini", "Scriabin"}
    chosen = {
        r["id"] for r in rows if r["corpus"] == "classics" and (r["composer"] in wanted or "wv0593" in r["title"])
    }
    report = audit(load_corpus(corpora / "index.csv").filter(lambda p: p.id in chosen))
    titles = {p.id: p.title for p in report.corpus}
    corrected = {titles[i]: composer for i, composer in report.relabelled.items()}
    assert corrected["Rondo in C"] == "Beethoven"
    assert [c for t, c in corrected.items() if t.startswith("Moment Musicau")] == ["Schubert", "Schubert"]
    assert conflict_of(report, "Bach", "Vivaldi").kind == "arrangement"
    serenade = conflict_of(report, "Liszt", "Schubert")
    assert serenade.identical and serenade.kind == "arrangement"
    assert not {"Mozart", "Vivaldi", "Paganini"} & set(corrected.values())
    assert sum(map(len, report.works.values())) >= 300
