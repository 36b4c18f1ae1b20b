"""``map.html``: the points of a style map on one self-contained page, drawn on a canvas by a few lines of script.

Hovering names the piece; the legend filters; a switch colours by composer or by period; the wheel, two fingers or the keys + and -
zoom, dragging moves. The page follows the reader's light or dark setting and fetches nothing.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from html import escape
from typing import Any, Final

PERIODS: Final = ("Renaissance", "Baroque", "Classical", "Romantic", "Modern")
# Okabe & Ito's colours for all kinds of sight come first; the others keep away from them in hue or lightness.
COMPOSER_COLOURS: Final = (
    ("#0072b2", "#56b4e9"),
    ("#d55e00", "#f0813a"),
    ("#008f68", "#1fc99a"),
    ("#b3568c", "#e39ac6"),
    ("#b8860b", "#e6c229"),
    ("#5b3fa8", "#a58bf0"),
    ("#b01e3c", "#f2647e"),
    ("#3c7d1e", "#8fcf5f"),
    ("#00838f", "#4dd0e1"),
    ("#7a4a2b", "#c79a78"),
)
PERIOD_COLOURS: Final = {  # (on light, on dark), from cold to warm in the order of time
    "Renaissance": ("#5b3fa8", "#a58bf0"),
    "Baroque": ("#0072b2", "#56b4e9"),
    "Classical": ("#008f68", "#1fc99a"),
    "Romantic": ("#b8860b", "#e6c229"),
    "Modern": ("#b01e3c", "#f2647e"),
}
OTHERS: Final = ("#8a8f98", "#7c828c")
SHOWN: Final = 400  # letters of a title at most

Row = tuple[float, float, str, str, str, str]


def page(rows: Sequence[Row], *, trust: float, near: int, left_out: int) -> str:
    """The page's HTML.

    Parameters
    ----------
    rows : sequence of (x, y, title, composer, period, id)
        x and y from -1 to 1; period "" where it is not known.
    trust : float
        Trustworthiness of the layout, 0..1.
    near : int
        Neighbours that it is measured over.
    left_out : int
        Files that could not be read.
    """
    composers = _legend([row[3] for row in rows], _by_number([row[3] for row in rows]))
    periods = _legend([row[4] or "not known" for row in rows], _by_time([row[4] or "not known" for row in rows]))
    number = {c["name"]: i for i, c in enumerate(composers)}
    time = {p["name"]: i for i, p in enumerate(periods)}
    data = {
        "points": [
            [round(x, 4), round(y, 4), title[:SHOWN], number[composer], time[period or "not known"], place[:SHOWN]]
            for x, y, title, composer, period, place in rows
        ],
        "composers": composers,
        "periods": periods,
    }
    missing = f" {left_out:,} files could not be read and are not on it." if left_out else ""
    said = (
        f"{len(rows):,} pieces by {len(composers):,} composers. Points that lie near each other are alike in style; "
        f"far distances and the axes mean nothing. Trustworthiness over {near} neighbours: {trust:.2f} (1 is best, 0.5 is chance).{missing}"
    )
    # "<" cannot end the script from within a string, whatever a title holds.
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")
    return _PAGE.replace("@SAID@", escape(said)).replace("@DATA@", text)


def _by_number(names: Sequence[str]) -> dict[str, tuple[str, str]]:
    """Composers by number of pieces, the first ones with a colour of their own."""
    order = sorted(Counter(names).items(), key=lambda item: (-item[1], item[0]))
    return {name: COMPOSER_COLOURS[i] if i < len(COMPOSER_COLOURS) else OTHERS for i, (name, _) in enumerate(order)}


def _by_time(names: Sequence[str]) -> dict[str, tuple[str, str]]:
    """Periods in order of time."""
    known = [p for p in PERIODS if p in names] + sorted({*names} - {*PERIODS})
    return {name: PERIOD_COLOURS.get(name, OTHERS) for name in known}


def _legend(names: Sequence[str], colours: dict[str, tuple[str, str]]) -> list[dict[str, Any]]:
    counts = Counter(names)
    return [{"name": name, "n": counts[name], "light": a, "dark": b} for name, (a, b) in colours.items()]


_PAGE: Final = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>A map of style</title>
<style>
:root { color-scheme: light dark; --ground: #fff; --ink: #1d2430; --quiet: #5d6673; --line: #d9dee5; --box: #fffffff2; }
@media (prefers-color-scheme: dark) {
  :root { --ground: #12161c; --ink: #e8ecf1; --quiet: #9aa4b1; --line: #2c343f; --box: #1a2028f2; }
}
* { box-sizing: border-box; }
body { margin: 0; font: 14px/1.45 system-ui, sans-serif; background: var(--ground); color: var(--ink);
  display: flex; flex-direction: column; height: 100vh; }
header { padding: 12px 16px 8px; border-bottom: 1px solid var(--line); }
h1 { font-size: 18px; margin: 0 0 2px; }
header p { margin: 0; color: var(--quiet); max-width: 110ch; }
main { flex: 1; display: flex; min-height: 0; }
#stage { position: relative; flex: 1; min-width: 0; }
canvas { width: 100%; height: 100%; display: block; cursor: grab; touch-action: none; }
canvas:focus-visible { outline: 2px solid var(--quiet); outline-offset: -2px; }
#tip { position: absolute; pointer-events: none; background: var(--box); border: 1px solid var(--line); border-radius: 6px;
  padding: 6px 9px; max-width: 320px; box-shadow: 0 2px 10px #0002; overflow-wrap: anywhere; }
#tip b { display: block; }
#tip small { color: var(--quiet); }
aside { width: 230px; border-left: 1px solid var(--line); display: flex; flex-direction: column; min-height: 0; }
fieldset { border: 0; margin: 0; padding: 10px 12px 6px; display: flex; flex-wrap: wrap; gap: 4px 12px; }
legend { padding: 0; color: var(--quiet); float: left; width: 100%; }
.tools { padding: 0 12px 8px; display: flex; gap: 6px; border-bottom: 1px solid var(--line); }
button { font: inherit; color: inherit; background: none; border: 1px solid var(--line); border-radius: 5px;
  padding: 2px 9px; cursor: pointer; }
#legend { overflow: auto; padding: 6px 6px 12px; }
#legend button { display: flex; width: 100%; gap: 8px; align-items: center; border: 0; padding: 3px 6px; text-align: left; }
#legend button[aria-pressed="false"] { opacity: .38; }
#legend i { width: 11px; height: 11px; border-radius: 50%; flex: none; }
#legend span { flex: 1; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
#legend small { color: var(--quiet); }
@media (max-width: 640px) {
  main { flex-direction: column; }
  aside { width: auto; border-left: 0; border-top: 1px solid var(--line); max-height: 42vh; }
}
</style>
</head>
<body>
<header><h1>A map of style</h1><p>@SAID@</p></header>
<main>
<div id="stage">
<canvas tabindex="0" role="img" aria-label="@SAID@ Arrow keys move the picture, plus and minus zoom."></canvas>
<div id="tip" role="status" hidden></div>
</div>
<aside>
<fieldset><legend>colour by</legend>
<label><input type="radio" name="by" value="composers" checked> composer</label>
<label><input type="radio" name="by" value="periods"> period</label></fieldset>
<div class="tools"><button id="all">all</button><button id="none">none</button><button id="home">whole map</button></div>
<div id="legend"></div>
</aside>
</main>
<noscript><p>The map is drawn by a script that stands in this page; it needs JavaScript.</p></noscript>
<script>
const data = @DATA@;
const canvas = document.querySelector("canvas"), pen = canvas.getContext("2d"), tip = document.getElementById("tip");
const stage = document.getElementById("stage"), legend = document.getElementById("legend");
const dark = matchMedia("(prefers-color-scheme: dark)");
const column = {composers: 3, periods: 4};
let by = "composers", hidden = {composers: new Set(), periods: new Set()};
let view = {x: 0, y: 0, zoom: 1}, width = 0, height = 0, over = -1, asked = false;
// rare groups are drawn last, so that they are not buried
let order = [];
function sortPoints() {
  const n = data[by].map(g => g.n), c = column[by];
  order = data.points.map((_, i) => i).sort((a, b) => n[data.points[b][c]] - n[data.points[a][c]]);
}
const scale = () => Math.min(width, height) / 2 * 0.92 * view.zoom;
const place = p => [width / 2 + (p[0] - view.x) * scale(), height / 2 - (p[1] - view.y) * scale()];
const shown = p => !hidden[by].has(p[column[by]]);
function draw() {
  asked = false;
  const ratio = devicePixelRatio || 1;
  if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
    canvas.width = Math.round(width * ratio); canvas.height = Math.round(height * ratio);
  }
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  pen.clearRect(0, 0, width, height);
  const many = data.points.length;
  const size = Math.max(1.6, Math.min(5, 95 / Math.sqrt(many))) * Math.min(2.2, Math.sqrt(view.zoom));
  const tone = dark.matches ? "dark" : "light";
  pen.globalAlpha = many > 1500 ? 0.72 : 0.85;
  for (const i of order) {
    const p = data.points[i];
    if (!shown(p)) continue;
    const [x, y] = place(p);
    if (x < -9 || y < -9 || x > width + 9 || y > height + 9) continue;
    pen.fillStyle = data[by][p[column[by]]][tone];
    pen.beginPath(); pen.arc(x, y, size, 0, 7); pen.fill();
  }
  pen.globalAlpha = 1;
  if (over >= 0) {
    const [x, y] = place(data.points[over]);
    pen.strokeStyle = getComputedStyle(document.body).color; pen.lineWidth = 2;
    pen.beginPath(); pen.arc(x, y, size + 3, 0, 7); pen.stroke();
  }
}
function redraw() { if (!asked) { asked = true; requestAnimationFrame(draw); } }
function point(x, y) {
  let best = -1, nearest = 14 * 14;
  data.points.forEach((p, i) => {
    if (!shown(p)) return;
    const [a, b] = place(p), d = (a - x) ** 2 + (b - y) ** 2;
    if (d < nearest) { nearest = d; best = i; }
  });
  return best;
}
function tell(x, y) {
  over = point(x, y);
  tip.hidden = over < 0;
  if (over >= 0) {
    const p = data.points[over], line = (tag, text) => Object.assign(document.createElement(tag), {textContent: text});
    const period = data.periods[p[4]].name;
    tip.replaceChildren(line("b", p[2]), line("span", data.composers[p[3]].name + (period === "not known" ? "" : ", " + period)),
      document.createElement("br"), line("small", p[5]));
    const left = x + 14 + tip.offsetWidth > width ? x - 14 - tip.offsetWidth : x + 14;
    tip.style.left = Math.max(4, left) + "px";
    tip.style.top = Math.max(4, Math.min(y + 12, height - tip.offsetHeight - 4)) + "px";
  }
  redraw();
}
function zoomAt(x, y, factor) {
  const zoom = Math.min(60, Math.max(0.6, view.zoom * factor));
  const px = (x - width / 2) / scale() + view.x, py = (height / 2 - y) / scale() + view.y;
  view.zoom = zoom;
  view.x = px - (x - width / 2) / scale(); view.y = py - (height / 2 - y) / scale();
  redraw();
}
function build() {
  sortPoints();
  const tone = dark.matches ? "dark" : "light";
  legend.replaceChildren(...data[by].map((g, i) => {
    const b = document.createElement("button"), dot = document.createElement("i");
    dot.style.background = g[tone];
    b.append(dot, Object.assign(document.createElement("span"), {textContent: g.name, title: g.name}),
      Object.assign(document.createElement("small"), {textContent: g.n}));
    b.setAttribute("aria-pressed", String(!hidden[by].has(i)));
    b.title = "click: show or hide; double click: only this";
    b.onclick = () => { hidden[by].has(i) ? hidden[by].delete(i) : hidden[by].add(i); build(); };
    b.ondblclick = () => { hidden[by] = new Set(data[by].keys()); hidden[by].delete(i); build(); };
    return b;
  }));
  over = -1; tip.hidden = true;
  redraw();
}
const fingers = new Map();
canvas.onpointerdown = e => { fingers.set(e.pointerId, e); canvas.setPointerCapture(e.pointerId); };
canvas.onpointerup = canvas.onpointercancel = e => fingers.delete(e.pointerId);
canvas.onpointerleave = () => { if (!fingers.size) { over = -1; tip.hidden = true; redraw(); } };
canvas.onpointermove = e => {
  const old = fingers.get(e.pointerId);
  if (!old) { tell(e.offsetX, e.offsetY); return; }
  if (fingers.size === 1) {
    view.x -= (e.offsetX - old.offsetX) / scale(); view.y += (e.offsetY - old.offsetY) / scale();
    tip.hidden = true; over = -1;
  } else {
    const other = [...fingers.values()].find(f => f.pointerId !== e.pointerId);
    const span = f => Math.hypot(f.offsetX - other.offsetX, f.offsetY - other.offsetY) || 1;
    zoomAt((e.offsetX + other.offsetX) / 2, (e.offsetY + other.offsetY) / 2, span(e) / span(old));
  }
  fingers.set(e.pointerId, e);
  redraw();
};
canvas.onwheel = e => { e.preventDefault(); zoomAt(e.offsetX, e.offsetY, Math.exp(-e.deltaY * 0.0015)); };
canvas.onkeydown = e => {
  const step = 0.15 / view.zoom;
  const keys = {ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, step], ArrowDown: [0, -step]};
  if (keys[e.key]) { view.x += keys[e.key][0]; view.y += keys[e.key][1]; }
  else if (e.key === "+" || e.key === "=") zoomAt(width / 2, height / 2, 1.3);
  else if (e.key === "-") zoomAt(width / 2, height / 2, 1 / 1.3);
  else return;
  e.preventDefault(); redraw();
};
for (const input of document.querySelectorAll("input[name=by]")) input.onchange = () => { by = input.value; build(); };
document.getElementById("all").onclick = () => { hidden[by].clear(); build(); };
document.getElementById("none").onclick = () => { hidden[by] = new Set(data[by].keys()); build(); };
document.getElementById("home").onclick = () => { view = {x: 0, y: 0, zoom: 1}; redraw(); };
dark.onchange = build;
new ResizeObserver(() => { width = stage.clientWidth; height = stage.clientHeight; redraw(); }).observe(stage);
width = stage.clientWidth; height = stage.clientHeight;
build();
</script>
</body>
</html>
"""
