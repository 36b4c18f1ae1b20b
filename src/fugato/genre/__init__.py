"""What genre is this: a recording in, an Answer with a timeline out."""

from fugato.genre.ask import genre, genre_many

__all__ = ["genre", "genre_many"]
