// The piano roll: time to the right, pitch upwards, bars as a grid; telling bars shaded, a cursor that moves, bars that can be selected.

import { colours, h, redrawn, sharp } from "../dom.js";

const FOOT = 26; // pixels for the numbers of the bars
const HEAD = 14; // and for the marks of telling bars

export class Roll {
  #piece = { notes: [], bars: [], seconds: 1 };
  #marks = []; // { bar, strength 0..1, kind: "tell" | "rival" }
  #fresh = () => false;
  #zoom = 1;
  #low = 48;
  #high = 72;
  #off;

  constructor(player, { selectable = false, onselect = () => {} } = {}) {
    this.player = player;
    this.selectable = selectable;
    this.onselect = onselect;
    this.selection = null; // [first, last] bar, from 1
    this.canvas = h("canvas", { role: "img", "aria-label": "Piano roll" });
    this.cursor = h("div", { class: "cursor", hidden: true });
    this.span = h("div", { class: "span" }, this.canvas, this.cursor);
    this.element = h("div", { class: "roll", tabindex: 0, role: "region", "aria-label": "Piano roll, scrollable" }, this.span);
    this.element.addEventListener("scroll", () => this.draw(), { passive: true });
    this.element.classList.toggle("choosing", selectable);
    this.#off = [redrawn(this.element, () => this.#resize()), player.on("time", () => this.#move())];
    this.#pointer();
  }

  close() {
    this.#off.forEach((undo) => undo());
  }

  set(piece, { marks = [], fresh = () => false } = {}) {
    this.#piece = piece;
    this.#marks = marks;
    this.#fresh = fresh;
    const pitches = piece.notes.map((n) => n[2]);
    this.#low = Math.min(...pitches, 60) - 2;
    this.#high = Math.max(...pitches, 67) + 2;
    const told = marks.filter((m) => m.kind === "tell").map((m) => m.bar);
    this.canvas.setAttribute("aria-label",
      `Piano roll of ${piece.notes.length} notes in ${Math.max(1, piece.bars.length)} bars` + (told.length ? `; telling bars: ${told.join(", ")}` : ""));
    this.#resize();
    this.#move();
  }

  get zoom() {
    return this.#zoom;
  }

  set zoom(value) {
    const middle = this.player.time;
    this.#zoom = Math.max(1, Math.min(64, value));
    this.#resize();
    this.element.scrollLeft = this.#x(middle) - this.element.clientWidth / 2;
    this.draw();
    this.#move();
  }

  select(range) {
    this.selection = range;
    this.draw();
  }

  // Bar, from 1, at a time.
  bar(time) {
    const bars = this.#piece.bars;
    let low = 0;
    let high = bars.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (bars[middle] <= time + 1e-4) low = middle;
      else high = middle - 1;
    }
    return low + 1;
  }

  get #seconds() {
    return Math.max(0.1, this.#piece.seconds, this.player.duration || 0);
  }

  get #width() {
    return this.element.clientWidth * this.#zoom;
  }

  #x(time) {
    return (time / this.#seconds) * this.#width;
  }

  #resize() {
    this.span.style.width = `${100 * this.#zoom}%`;
    this.canvas.style.width = `${this.element.clientWidth}px`;
    this.draw();
    this.#move();
  }

  #move() {
    const x = this.#x(this.player.time);
    this.cursor.hidden = !this.#piece.notes.length;
    this.cursor.style.transform = `translateX(${Math.min(x, this.#width - 2)}px)`;
    if (this.player.playing && this.#zoom > 1) {
      const { scrollLeft, clientWidth } = this.element;
      if (x < scrollLeft || x > scrollLeft + clientWidth * 0.85) this.element.scrollLeft = x - clientWidth * 0.15;
    }
  }

  #pointer() {
    const at = (event) => ((event.clientX - this.canvas.getBoundingClientRect().left + this.element.scrollLeft) / this.#width) * this.#seconds;
    let from = null;
    let moved = false;
    this.canvas.addEventListener("pointerdown", (event) => {
      if (event.button) return;
      from = { time: at(event), x: event.clientX };
      moved = false;
      if (event.pointerType === "mouse") this.canvas.setPointerCapture(event.pointerId);
    });
    this.canvas.addEventListener("pointermove", (event) => {
      if (!from || event.pointerType !== "mouse") return;
      if (Math.abs(event.clientX - from.x) > 5) moved = true;
      if (!moved) return;
      if (!this.selectable) return this.player.seek(at(event));
      this.select([this.bar(Math.min(from.time, at(event))), this.bar(Math.max(from.time, at(event)))]);
      this.onselect(this.selection);
    });
    this.canvas.addEventListener("pointerup", (event) => {
      if (from && !moved) this.player.seek(at(event));
      from = null;
    });
    this.canvas.addEventListener("pointercancel", () => { from = null; });
  }

  draw() {
    const { context: c, width, height } = sharp(this.canvas);
    const colour = colours(this.element);
    const { notes, bars } = this.#piece;
    const left = this.element.scrollLeft;
    const seconds = this.#seconds;
    const x = (time) => this.#x(time) - left;
    const floor = height - FOOT;
    const step = (floor - HEAD) / (this.#high - this.#low + 1);
    const y = (pitch) => floor - (pitch - this.#low + 1) * step;
    const barEnd = (bar) => bars[bar] ?? seconds;

    if (this.selection) {
      const [a, b] = this.selection;
      c.fillStyle = colour.wash;
      c.fillRect(x(bars[a - 1]), 0, x(barEnd(b)) - x(bars[a - 1]), floor);
      c.strokeStyle = colour.accent;
      c.lineWidth = 1.5;
      c.strokeRect(x(bars[a - 1]), 1, x(barEnd(b)) - x(bars[a - 1]), floor - 2);
    }
    const kind = new Map();
    for (const mark of this.#marks) {
      if (mark.bar > bars.length) continue;
      const from = x(bars[mark.bar - 1]);
      const to = x(barEnd(mark.bar));
      const tell = mark.kind === "tell";
      if (tell) {
        kind.set(mark.bar, "tell");
        c.fillStyle = colour.wash;
        c.fillRect(from, HEAD, to - from, floor - HEAD);
      } else if (!kind.has(mark.bar)) kind.set(mark.bar, "rival");
      c.globalAlpha = 0.35 + 0.65 * mark.strength;
      c.fillStyle = tell ? colour.accent : colour.ink;
      c.fillRect(from + 0.5, tell ? 0 : 6, Math.max(2, to - from - 1), 4);
      c.globalAlpha = 1;
    }

    c.font = `500 11px ${getComputedStyle(this.element).fontFamily}`;
    for (let pitch = Math.ceil(this.#low / 12) * 12; pitch <= this.#high; pitch += 12) {
      c.fillStyle = colour.line;
      c.fillRect(0, Math.round(y(pitch) + step), width, 1);
    }
    const apart = (this.#width / Math.max(1, bars.length)) || 1;
    const every = [1, 2, 4, 5, 10, 20, 50, 100, 200, 500].find((n) => n * apart > 46) ?? 1000;
    bars.forEach((start, i) => {
      const at = Math.round(x(start));
      if (at < -60 || at > width + 60) return;
      const numbered = every === 1 || i === 0 || (i + 1) % every === 0;
      if (apart > 10 || numbered) {
        c.fillStyle = colour.line;
        c.globalAlpha = numbered ? 1 : 0.5;
        c.fillRect(at, HEAD, 1, floor - HEAD);
        c.globalAlpha = 1;
      }
      if (numbered && at > -20 && at < width - 14) {
        c.fillStyle = colour.soft;
        c.fillText(String(i + 1), at + 1, height - 8);
      }
    });

    const thick = Math.max(2, step - (step > 5 ? 1 : 0.2));
    for (const note of notes) {
      const [start, duration, pitch] = note;
      const from = x(start);
      const to = x(start + duration);
      if (to < -2 || from > width + 2) continue;
      const of = this.#marks.length ? kind.get(this.bar(start)) : null;
      c.fillStyle = this.#fresh(note) || of === "tell" ? colour.accent : of === "rival" ? colour.ink : colour.note;
      c.beginPath();
      c.roundRect(from, y(pitch), Math.max(1.5, to - from - 0.6), thick, Math.min(2.5, thick / 2));
      c.fill();
    }
    c.font = `600 11px ${getComputedStyle(this.element).fontFamily}`;
    for (let pitch = Math.ceil(this.#low / 12) * 12; pitch <= this.#high; pitch += 12) {
      const text = `C${pitch / 12 - 1}`;
      const top = y(pitch) + step - 15;
      c.globalAlpha = 0.85;
      c.fillStyle = colour.sheet;
      c.fillRect(2, top, c.measureText(text).width + 8, 14);
      c.globalAlpha = 1;
      c.fillStyle = colour.soft;
      c.fillText(text, 6, top + 11);
    }
  }
}
