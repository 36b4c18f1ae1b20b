// Pieces as points: names of composers stand where their pieces lie, a point says what it is when it is touched.

import { colours, fileName, h, percent, redrawn, sharp } from "../dom.js";

const EDGE = 48; // pixels kept free around

export class StyleMap {
  #points = [];
  #visible = null;
  #picked = null;
  #at = null;
  #off;

  constructor({ onpick }) {
    this.canvas = h("canvas", { role: "img", "aria-label": "Style map" });
    this.tip = h("div", { class: "tip", hidden: true });
    this.element = h("div", { class: "map" }, this.canvas, this.tip);
    this.#off = redrawn(this.canvas, () => this.draw());
    this.canvas.addEventListener("pointermove", (event) => this.#touch(event));
    this.canvas.addEventListener("pointerleave", () => { this.#at = null; this.tip.hidden = true; this.draw(); });
    this.canvas.addEventListener("click", (event) => {
      this.#touch(event);
      if (this.#at) onpick(this.#at.input);
    });
  }

  close() {
    this.#off();
  }

  set(points) {
    const xs = points.map((p) => p.x);
    const ys = points.map((p) => p.y);
    const [left, right, low, high] = [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)];
    this.#points = points.map((p) => ({ ...p, u: (p.x - left) / (right - left || 1), v: 1 - (p.y - low) / (high - low || 1) }));
    const names = new Set(points.map((p) => p.name));
    this.canvas.setAttribute("aria-label", `Style map of ${points.length} pieces by ${[...names].slice(0, 8).join(", ")}`);
    this.draw();
  }

  filter(visible, picked) {
    this.#visible = visible;
    this.#picked = picked;
    this.draw();
  }

  #place(point) {
    const { width, height } = this.canvas.getBoundingClientRect();
    return [EDGE + point.u * (width - 2 * EDGE), EDGE + point.v * (height - 2 * EDGE)];
  }

  #touch(event) {
    const frame = this.canvas.getBoundingClientRect();
    const [x, y] = [event.clientX - frame.left, event.clientY - frame.top];
    let best = 24;
    this.#at = null;
    for (const point of this.#points) {
      const [px, py] = this.#place(point);
      const far = Math.hypot(px - x, py - y);
      if (far < best) [best, this.#at] = [far, point];
    }
    this.tip.hidden = !this.#at;
    if (this.#at) {
      const [px, py] = this.#place(this.#at);
      this.tip.textContent = `${this.#at.name}, ${percent(this.#at.probability)} · ${fileName(this.#at.input)}`;
      this.tip.style.left = `${Math.max(0, Math.min(px + 12, frame.width - this.tip.offsetWidth))}px`;
      this.tip.style.top = `${Math.max(0, py - 44)}px`;
    }
    this.draw();
  }

  draw() {
    if (!this.#points.length || !this.canvas.offsetParent) return;
    const { context: c, width, height } = sharp(this.canvas);
    const colour = colours(this.canvas);
    const focus = this.#at?.name ?? this.#points.find((p) => p.input === this.#picked)?.name;
    const groups = new Map();
    for (const point of this.#points) {
      const [x, y] = this.#place(point);
      const on = !this.#visible || this.#visible.has(point.input);
      if (on) groups.set(point.name, [...(groups.get(point.name) ?? []), [x, y]]);
      c.globalAlpha = on ? 0.9 : 0.2;
      c.fillStyle = point.name === focus ? colour.accent : colour.note;
      c.beginPath();
      c.arc(x, y, point === this.#at || point.input === this.#picked ? 8 : 5, 0, 2 * Math.PI);
      if (point.known === false) {
        c.lineWidth = 2;
        c.strokeStyle = c.fillStyle;
        c.stroke();
      } else c.fill();
    }
    c.globalAlpha = 1;
    c.textAlign = "center";
    const taken = [];
    for (const [name, places] of [...groups].sort((a, b) => b[1].length - a[1].length)) {
      const middle = (k) => places.map((p) => p[k]).sort((a, b) => a - b)[places.length >> 1];
      c.font = `${name === focus ? 700 : 600} 13px ${getComputedStyle(this.canvas).fontFamily}`;
      const half = c.measureText(name).width / 2 + 4;
      const x = Math.max(half, Math.min(width - half, middle(0)));
      const y = Math.max(16, Math.min(height - 8, middle(1) - 12));
      const box = [x - half, y - 14, x + half, y + 4];
      if (name !== focus && taken.some((t) => box[0] < t[2] && box[2] > t[0] && box[1] < t[3] && box[3] > t[1])) continue;
      taken.push(box);
      c.lineWidth = 4;
      c.strokeStyle = colour.sheet;
      c.strokeText(name, x, y);
      c.fillStyle = name === focus ? colour.accent : colour.ink;
      c.fillText(name, x, y);
    }
  }
}
