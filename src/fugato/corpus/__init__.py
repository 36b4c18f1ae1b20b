"""Folders, index files and archives as a Corpus; composers' names; works; audit; splits."""

from __future__ import annotations

from fugato.corpus.audit import AuditReport, audit
from fugato.corpus.corpus import Corpus, Piece, is_open, load_corpus, write_index
from fugato.corpus.groups import work_groups
from fugato.corpus.names import Composer, all_composers, canonical, composer_info
from fugato.corpus.splits import Split, grouped_holdout, grouped_kfold, leave_one_source_out

__all__ = [
    "AuditReport",
    "Composer",
    "Corpus",
    "Piece",
    "Split",
    "all_composers",
    "audit",
    "canonical",
    "composer_info",
    "grouped_holdout",
    "grouped_kfold",
    "is_open",
    "leave_one_source_out",
    "load_corpus",
    "work_groups",
    "write_index",
]
