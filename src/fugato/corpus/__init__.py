"""Folders, index files and archives as a Corpus; composers' names; works; audit; splits."""
