// How the answer changed while one listened: a line for each of the likeliest names, the first in colour; below it the notes themselves.

import { clock, colours, h, redrawn, sharp } from "../dom.js";

const MOST = 5;

export class History {
  #points = []; // { time, ranking }
  #notes = []; // [start, end or null, pitch]
  #now = 0;
  #whole = 0; // seconds of the piece, where it is known how long it lasts
  #off;

  constructor() {
    this.canvas = h("canvas", { class: "history", role: "img", "aria-label": "Probabilities while it sounds" });
    this.#off = redrawn(this.canvas, () => this.draw());
  }

  close() {
    this.#off();
  }

  clear() {
    this.#points = [];
    this.#notes = [];
    this.#now = 0;
    this.#whole = 0;
    this.draw();
  }

  answer(time, ranking) {
    if (!ranking.length) return;
    this.#points.push({ time, ranking });
    this.#now = Math.max(this.#now, time);
    this.canvas.setAttribute("aria-label", `Probabilities while it sounds; now ${ranking[0].name}`);
    this.draw();
  }

  play(notes, now, whole = 0) {
    this.#notes = notes;
    this.#whole = whole;
    this.#now = now;
    this.draw();
  }

  draw() {
    const { context: c, width, height } = sharp(this.canvas);
    const colour = colours(this.canvas);
    const font = getComputedStyle(this.canvas).fontFamily;
    const split = Math.round(height * 0.58);
    const right = width - 118; // names stand there
    const span = Math.max(12, this.#whole, this.#now);
    const x = (time) => (time / span) * right;

    const last = this.#points[this.#points.length - 1];
    c.fillStyle = colour.line;
    for (const share of last ? [0, 0.5, 1] : []) c.fillRect(0, Math.round(14 + (1 - share) * (split - 34)), right, 1);
    c.font = `500 11px ${font}`;
    c.fillStyle = colour.soft;
    const step = [2, 5, 10, 15, 30, 60, 120, 300].find((s) => x(s) > 60) ?? 600;
    for (let time = 0; time <= span; time += step) c.fillText(clock(time), x(time), height - 6);

    const pitches = this.#notes.map((n) => n[2]);
    const low = Math.min(48, ...pitches) - 1;
    const high = Math.max(72, ...pitches) + 1;
    const y = (pitch) => height - 24 - ((pitch - low) / (high - low)) * (height - 24 - split - 8);
    for (const [start, end, pitch] of this.#notes) {
      if (start > this.#now) continue;
      c.fillStyle = end === null || end > this.#now ? colour.accent : colour.note;
      c.fillRect(x(start), y(pitch), Math.max(1.5, x(Math.min(end ?? this.#now, this.#now)) - x(start) - 0.5), 3);
    }

    if (!last) {
      c.fillStyle = colour.soft;
      c.font = `500 15px ${font}`;
      c.fillText("The answer is drawn here while you play.", 0, split / 2);
      return;
    }
    const level = (p) => 14 + (1 - p) * (split - 34);
    const names = last.ranking.slice(0, MOST).map((g) => g.name);
    const taken = [];
    [...names].reverse().forEach((name) => {
      const first = name === names[0];
      c.strokeStyle = first ? colour.accent : colour.note;
      c.lineWidth = first ? 3 : 1.5;
      c.lineJoin = "round";
      c.fillStyle = c.strokeStyle;
      const places = this.#points.map(({ time, ranking }) => [x(time), level(ranking.find((g) => g.name === name)?.probability ?? 0)]);
      c.beginPath();
      places.forEach(([px, py], i) => (i ? c.lineTo(px, py) : c.moveTo(px, py)));
      c.stroke();
      if (!first) return;
      for (const [px, py] of places.length < 40 ? places : places.slice(-1)) {
        c.beginPath();
        c.arc(px, py, 3.5, 0, 2 * Math.PI);
        c.fill();
      }
    });
    names.forEach((name, i) => {
      if (i && last.ranking[i].probability < 0.02) return;
      let at = level(last.ranking[i].probability) + 4;
      while (taken.some((t) => Math.abs(t - at) < 15)) at += 1;
      if (at > split + 22) return;
      taken.push(at);
      c.font = `${i ? 500 : 700} 12px ${font}`;
      c.fillStyle = i ? colour.soft : colour.accent;
      c.fillText(name, x(last.time) + 8, at, width - x(last.time) - 8);
    });
  }
}
