"""``listen.html``: what systems wrote after the same seeds, side by side, to be heard: players and piano rolls on one self-contained page.

Sound is Ogg Vorbis within the page, by the soundfont that `fugato.write` finds or the synthesiser of the package, the same for all. The
names can be hidden and the order shuffled, so that one can judge before one knows.
"""

from __future__ import annotations

import base64
import io
import os
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from fugato.compose.request import joined
from fugato.errors import FugatoError
from fugato.score import Score, piano_roll_svg
from fugato.study.compose_seeds import Passage
from fugato.write.soundfont import play

RATE: Final = 22_050  # samples a second: what a piano needs
QUALITY: Final = 1.0  # of the encoder, from 0 (large) to 1 (small): some 27 kbit a second
SECONDS: Final = 60.0  # of a piece that are heard at most
FADE: Final = 1.5  # seconds, where it is cut
SEEDS: Final = 10
LEAD: Final = 4  # bars of the seed that are heard before what is new


def listening_page(
    passages: Sequence[Passage],
    systems: Mapping[str, Sequence[Score]],
    out: str | os.PathLike[str],
    *,
    composers: Sequence[str] = (),
    seeds: int = SEEDS,
    seconds: float = SECONDS,
) -> Path:
    """Write the page.

    Parameters
    ----------
    passages : sequence of Passage
    systems : mapping of str to sequence of Score
        The new music of each system after each passage; what really follows is added.
    out : path
        Ends in .html.
    composers : sequence of str
        Of each of whom one seed is taken first.
    seeds : int
    seconds : float
        Of each piece that are heard at most.

    Returns
    -------
    Path
        `out`.

    Raises
    ------
    FugatoError
        ``bad-output``.
    """
    path = check_page(out)
    sections = []
    for number, i in enumerate(chosen(passages, composers, seeds), 1):
        passage = passages[i]
        seed = passage.seed.excerpt(max(len(passage.seed.bars) - LEAD, 0), len(passage.seed.bars) - 1)
        cards = [_card(title, seed, scores[i], seconds) for title, scores in systems.items()]
        cards.append(_card("what really follows", seed, passage.real, seconds))
        title = escape(f"{passage.composer}: {passage.title}" if passage.title else passage.composer)
        sections.append(
            f'<section><h2>{number}. {title}</h2>\n<div class="cards">\n' + "\n".join(cards) + "\n</div></section>"
        )
    page = (
        _PAGE.replace("@SECTIONS@", "\n".join(sections))
        .replace("@LEAD@", str(LEAD))
        .replace("@SECONDS@", f"{seconds:g}")
    )
    try:
        path.write_text(page, encoding="utf-8")
    except OSError as error:
        raise FugatoError(
            "bad-output", f"The page cannot be written ({error.strerror or error}).", str(path)
        ) from error
    return path


def check_page(out: str | os.PathLike[str]) -> Path:
    """Whether a page can have that name, to be asked before music is written.

    Raises
    ------
    FugatoError
        ``bad-output``.
    """
    path = Path(out)
    if path.suffix.lower() not in {".html", ".htm"}:
        raise FugatoError(
            "bad-output", "The page to listen to is written as .html; give it a name that ends so.", str(path)
        )
    if not path.absolute().parent.is_dir():
        raise FugatoError("bad-output", "There is no such folder to write the page to; make it first.", str(path))
    return path


def chosen(passages: Sequence[Passage], composers: Sequence[str], seeds: int) -> list[int]:
    """Which passages are heard: one of each composer who is named, then one of each other work, then what is left."""
    order = [next(i for i, p in enumerate(passages) if p.composer == name) for name in composers]
    works = {passages[i].work for i in order}
    for i, passage in enumerate(passages):
        if passage.work not in works:
            works.add(passage.work)
            order.append(i)
    order += [i for i in range(len(passages)) if i not in set(order)]
    return order[:seeds]


def _card(title: str, seed: Score, new: Score, seconds: float) -> str:
    whole = joined(seed, new) if len(new) else seed
    start = float(seed.bars[-1]) + seed.meters[-1].bar_length
    picture = piano_roll_svg(whole, width=520, height=120, new=whole.pitched["onset"] >= start - 1e-6)
    return (
        f"<figure><figcaption>{escape(title)}</figcaption>\n{picture}\n"
        f'<audio controls preload="none" src="data:audio/ogg;base64,{sound(whole, seconds)}"></audio></figure>'
    )


def sound(score: Score, seconds: float = SECONDS) -> str:
    """A piece as Ogg Vorbis in base64, faded out where it is cut."""
    import soundfile

    samples: NDArray[Any] = play(score, RATE)
    scale = 32768.0 if samples.dtype == np.int16 else 1.0
    mono = (samples.mean(axis=1) if samples.ndim == 2 else samples).astype(np.float32) / scale
    most = round(seconds * RATE)
    if len(mono) > most:
        mono = mono[:most].copy()
        fade = min(round(FADE * RATE), most)
        mono[most - fade :] *= np.linspace(1.0, 0.0, fade, dtype=np.float32)
    out = io.BytesIO()
    soundfile.write(out, mono, RATE, format="OGG", subtype="VORBIS", compression_level=QUALITY)
    return base64.b64encode(out.getvalue()).decode()


_PAGE: Final = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Systems that compose, to be heard</title>
<style>
:root { color-scheme: light dark; --ground: #fff; --ink: #1d2430; --quiet: #5d6673; --line: #d9dee5; --seed: #aab2bd; --new: #2f5d8a; }
@media (prefers-color-scheme: dark) {
  :root { --ground: #12161c; --ink: #e8ecf1; --quiet: #9aa4b1; --line: #2c343f; --seed: #5b6573; --new: #6fa8dc; }
}
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 1240px; padding: 24px 16px 64px; font: 15px/1.5 system-ui, sans-serif;
  background: var(--ground); color: var(--ink); }
h1 { font-size: 22px; margin: 0 0 4px; }
h2 { font-size: 17px; margin: 36px 0 10px; }
p { color: var(--quiet); max-width: 85ch; margin: 4px 0 12px; }
button { font: inherit; padding: 6px 14px; border: 1px solid var(--line); border-radius: 6px;
  background: none; color: inherit; cursor: pointer; }
.cards { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 360px), 1fr)); gap: 14px; }
figure { margin: 0; padding: 10px 12px; border: 1px solid var(--line); border-radius: 8px; }
figcaption { font-weight: 600; margin-bottom: 6px; }
svg { display: block; width: 100%; height: 96px; }
svg g { fill: var(--seed); }
svg g.new { fill: var(--new); }
audio { width: 100%; margin-top: 8px; }
.hidden figcaption { visibility: hidden; }
</style>
</head>
<body>
<h1>Systems that compose, to be heard</h1>
<p>The same seeds, from works that none of the systems has learnt. Of each seed the last @LEAD@ bars are heard (grey),
then what is new (blue), for @SECONDS@ seconds at most.</p>
<button type="button" aria-pressed="false">Hide the names and shuffle</button>
<main>
@SECTIONS@
</main>
<script>
const button = document.querySelector("button");
button.addEventListener("click", () => {
  const hidden = document.body.classList.toggle("hidden");
  button.setAttribute("aria-pressed", hidden);
  button.textContent = hidden ? "Show the names" : "Hide the names and shuffle";
  if (hidden) for (const cards of document.querySelectorAll(".cards")) {
    const all = [...cards.children];
    for (let i = all.length - 1; i > 0; i--) {
      const j = Math.floor(Math.random() * (i + 1));
      [all[i], all[j]] = [all[j], all[i]];
    }
    cards.append(...all);
  }
});
document.addEventListener("play", (event) => {
  for (const player of document.querySelectorAll("audio")) if (player !== event.target) player.pause();
}, true);
</script>
</body>
</html>
"""
