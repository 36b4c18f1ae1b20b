"""N-grams and style vectors as transformers for scikit-learn pipelines; scikit-learn itself is not needed to use them.

They take what `fugato.read` takes (paths, bytes, open files) or Scores or Streams, one a sample, and follow scikit-learn's conventions
by duck typing (Buitinck et al., "API design for machine learning software", ECML PKDD workshop 2013): options are kept as they are given,
what is learnt ends in an underscore, ``fit`` returns the transformer.
"""

from __future__ import annotations

import inspect
import itertools
import os
from collections.abc import Iterable, Sequence
from typing import Any, BinaryIO, Final, Self

import numpy as np
from numpy.typing import NDArray

from fugato.errors import FugatoError
from fugato.read import read_many
from fugato.represent import ngrams
from fugato.represent.stream import Stream, stream
from fugato.represent.style_space import SHIPPED, load_space
from fugato.score import Score

THEN: Final = "fugato.represent.vectorizer:counts_bytes"
CENTRES: Final = {"melody": 16, "bass": 16, "leap": 16, "bass_leap": 16, "step": 8, "register": 24, "bass_register": 24}

Music = str | os.PathLike[str] | bytes | BinaryIO | Score | Stream
Counts = tuple[NDArray[np.int32], NDArray[np.int32]]


class _Transformer:
    """What scikit-learn asks of any transformer."""

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Options by name."""
        return {
            name: getattr(self, name) for name in inspect.signature(type(self).__init__).parameters if name != "self"
        }

    def set_params(self, **params: Any) -> Self:
        """Change options; an unknown one is a ValueError, as scikit-learn has it."""
        known = self.get_params()
        for name, value in params.items():
            if name not in known:
                raise ValueError(f"{type(self).__name__} has no option {name!r}; its options are {', '.join(known)}.")
            setattr(self, name, value)
        return self

    def fit_transform(self, X: Sequence[Music], y: Any = None, **fit_params: Any) -> Any:
        """`fit`, then `transform` of the same music."""
        return self.fit(X, y, **fit_params).transform(X)  # type: ignore[attr-defined]

    def __repr__(self) -> str:
        default = inspect.signature(type(self).__init__).parameters
        changed = [f"{n}={v!r}" for n, v in self.get_params().items() if v is not default[n].default]
        return f"{type(self).__name__}({', '.join(changed)})"

    def __sklearn_tags__(self) -> Any:
        """scikit-learn's own description of a transformer; only scikit-learn asks for it."""
        from sklearn.utils import Tags, TargetTags, TransformerTags

        return Tags(
            estimator_type=None,
            target_tags=TargetTags(required=False),
            transformer_tags=TransformerTags(),
        )


class NgramVectorizer(_Transformer):
    """Music to the n-gram vectors that the composer model looks at.

    Parameters
    ----------
    blocks : tuple of `fugato.represent.ngrams.Block`, optional
        What is counted; all blocks of the house by default.
    idf : bool
        Weigh hashed blocks by the inverse document frequency learnt in `fit`.
    min_pieces : int
        A gram in fewer pieces of the training set is left out.
    dense : bool
        ndarrays instead of SciPy's sparse matrices.
    n_jobs : int, optional
        Reading processes.

    Attributes
    ----------
    rarity_ : ndarray of float32, shape=(n_features,)
        Weight of each gram, 0 for one that is left out.

    Examples
    --------
    >>> from sklearn.pipeline import make_pipeline  # doctest: +SKIP
    >>> from sklearn.svm import LinearSVC  # doctest: +SKIP
    >>> make_pipeline(NgramVectorizer(), LinearSVC()).fit(paths, composers)  # doctest: +SKIP
    """

    def __init__(
        self,
        *,
        blocks: tuple[ngrams.Block, ...] | None = None,
        idf: bool = True,
        min_pieces: int = 3,
        dense: bool = False,
        n_jobs: int | None = None,
    ) -> None:
        self.blocks = blocks
        self.idf = idf
        self.min_pieces = min_pieces
        self.dense = dense
        self.n_jobs = n_jobs

    @property
    def _blocks(self) -> tuple[ngrams.Block, ...]:
        return ngrams.BLOCKS if self.blocks is None else tuple(self.blocks)

    def fit(self, X: Sequence[Music], y: Any = None) -> Self:
        """Learn how rare each gram is.

        Raises
        ------
        FugatoError
            Where a piece cannot be read, with its name; ``bad-data`` where there is none, ``bad-option``.
        """
        self._learn(count_all(X, self._blocks, self.n_jobs))
        return self

    def transform(self, X: Sequence[Music]) -> Any:
        """Vectors: csr_matrix or ndarray of float32, shape=(n_pieces, n_features); every block has unit length.

        Raises
        ------
        FugatoError
            Where a piece cannot be read; ``bad-option`` before `fit`, or without SciPy where `dense` is false.
        """
        if not hasattr(self, "rarity_"):
            raise FugatoError("bad-option", "The NgramVectorizer is not fitted yet; call fit first.")
        return self._weighed(count_all(X, self._blocks, self.n_jobs))

    def fit_transform(self, X: Sequence[Music], y: Any = None, **fit_params: Any) -> Any:
        """`fit` and `transform` of the same music, which is read once."""
        counts = count_all(X, self._blocks, self.n_jobs)
        self._learn(counts)
        return self._weighed(counts)

    def get_feature_names_out(self, input_features: Any = None) -> NDArray[Any]:
        """A name for each feature, shape=(n_features,).

        Exact blocks give the symbols' values in order ("melody/2[4,-2]": up a major third, then down a tone); hashed blocks, where
        several grams can meet in a cell, its number ("melody#17").
        """
        return np.array([name for block in self._blocks for name in _names(block)], dtype=object)

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "rarity_")

    def _learn(self, counts: list[Counts]) -> None:
        if self.min_pieces < 1:
            raise FugatoError("bad-option", f"min_pieces is {self.min_pieces}; it must be at least 1.")
        width = ngrams.width(self._blocks)
        if not counts:
            raise FugatoError("bad-data", "There is no piece to learn from.")
        n = len(counts)
        frequency = np.bincount(np.concatenate([cell for cell, _ in counts]), minlength=width)
        rarity = np.log((1 + n) / (1 + frequency)) + 1 if self.idf else np.ones(width)
        self.rarity_ = np.where(frequency >= min(self.min_pieces, n), rarity, 0).astype(np.float32)
        self.n_features_out_ = width

    def _weighed(self, counts: list[Counts]) -> Any:
        places = ngrams.layout(self._blocks)
        values = [ngrams.weigh(cell, times, self.rarity_, places) for cell, times in counts]
        shape = (len(counts), len(self.rarity_))
        if self.dense:
            table = np.zeros(shape, np.float32)
            for row, (cell, _), value in zip(table, counts, values, strict=True):
                row[cell] = value
            return table
        try:
            from scipy.sparse import csr_matrix
        except ImportError:
            raise FugatoError(
                "bad-option", 'Sparse vectors need SciPy; ask for dense=True, or: pip install "fugato[train]".'
            ) from None
        cells = np.concatenate([np.zeros(0, np.int32), *(cell for cell, _ in counts)])
        ends = np.cumsum([0, *(len(cell) for cell, _ in counts)])
        matrix = csr_matrix((np.concatenate([np.zeros(0, np.float32), *values]), cells, ends), shape=shape)
        matrix.eliminate_zeros()
        return matrix


class StyleEmbedder(_Transformer):
    """Music to vectors of the style space, those of `fugato.embed`.

    Parameters
    ----------
    space : path, optional
        The file of a style space; the shipped one by default. Nothing is learnt in `fit`.
    n_jobs : int, optional
        Reading processes.
    """

    def __init__(self, *, space: str | os.PathLike[str] | None = None, n_jobs: int | None = None) -> None:
        self.space = space
        self.n_jobs = n_jobs

    def fit(self, X: Any = None, y: Any = None) -> Self:
        """Check that the space can be loaded."""
        self.n_features_out_ = load_space(os.fspath(self.space or SHIPPED)).n_dimensions
        return self

    def transform(self, X: Sequence[Music]) -> NDArray[np.float32]:
        """Vectors of unit length, shape=(n_pieces, n_dimensions).

        Raises
        ------
        FugatoError
            Where a piece cannot be read, with its name.
        """
        space = load_space(os.fspath(self.space or SHIPPED))
        vectors = [space.embed_counts(*counts) for counts in count_all(X, ngrams.BLOCKS, self.n_jobs)]
        return np.stack(vectors) if vectors else np.zeros((0, space.n_dimensions), np.float32)

    def get_feature_names_out(self, input_features: Any = None) -> NDArray[Any]:
        """``style0`` and so on, shape=(n_dimensions,)."""
        n = load_space(os.fspath(self.space or SHIPPED)).n_dimensions
        return np.array([f"style{i}" for i in range(n)], dtype=object)

    def __sklearn_is_fitted__(self) -> bool:
        return True


def count_all(music: Sequence[Music], blocks: tuple[ngrams.Block, ...], n_jobs: int | None) -> list[Counts]:
    """N-grams of many pieces, in order; what must be read is read in `n_jobs` processes.

    Raises
    ------
    FugatoError
        Of the first piece that cannot be read or has no pitched notes.
    """
    if isinstance(music, (str, bytes, os.PathLike, Score, Stream)):
        raise FugatoError("bad-option", "A list of pieces is expected, not one piece; put it into a list.")
    items = list(music)
    files = [m for m in items if not isinstance(m, (Score, Stream))]
    options = {"blocks": None if blocks is ngrams.BLOCKS else [[b.name, b.grams, b.bits] for b in blocks]}
    read = iter(read_many(files, jobs=n_jobs or 1, then=THEN, options=options)) if files else iter(())
    out: list[Counts] = []
    for place, item in enumerate(items):
        if isinstance(item, (Score, Stream)):
            out.append(_count(item, f"piece {place}", blocks))
            continue
        result = next(read).result
        if isinstance(result, FugatoError):
            raise result
        assert isinstance(result, bytes)  # what counts_bytes gave
        cell, times = np.frombuffer(result, np.int32).reshape(2, -1)
        out.append((cell, times))
    return out


def counts_bytes(score: Score, *, name: str, sha256: str, blocks: list[Any] | None) -> bytes:
    """N-grams of a Score as two rows of int32, for `fugato.read.read_many` to call in a worker process."""
    del sha256
    chosen = ngrams.BLOCKS if blocks is None else tuple(_block(*b) for b in blocks)
    return np.stack(_count(score, name, chosen)).tobytes()


def _block(name: str, grams: Iterable[tuple[str, int]], bits: int) -> ngrams.Block:
    return ngrams.Block(name, tuple((symbols, order) for symbols, order in grams), bits)


def _count(music: Score | Stream, name: str, blocks: tuple[ngrams.Block, ...]) -> Counts:
    events = stream(music) if isinstance(music, Score) else music
    if not len(events):
        raise FugatoError("empty", "There are no pitched notes in it.", name)
    return ngrams.count(events, blocks)


def _names(block: ngrams.Block) -> Iterable[str]:
    if block.bits:
        return (f"{block.name}#{cell}" for cell in range(block.width))
    ((symbols, order),) = block.grams
    values = [range(-CENTRES.get(s, 0), ngrams.ALPHABETS[s] - CENTRES.get(s, 0)) for s in symbols.split("+")]
    return (f"{block.name}[{','.join(map(str, cell))}]" for cell in itertools.product(*values * order))
