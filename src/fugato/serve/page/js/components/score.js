// The engraved score, a page at a time: what sounds is coloured, a line moves along, a click goes there. Verovio loads when it is first
// wanted. Times of the score are quarter notes; `clock` tells seconds from them and back.

import { h, icon, s } from "../dom.js";
import { notice, wait } from "./notice.js";

let worker = null;
let calls = 0;
const pending = new Map();

function engrave(call, message = {}) {
  if (!worker) {
    worker = new Worker(new URL("../workers/engraver.js", import.meta.url), { type: "module" });
    worker.addEventListener("message", ({ data }) => {
      const { yes, no } = pending.get(data.id);
      pending.delete(data.id);
      if (data.error) no(new Error(data.error));
      else yes(data);
    });
    worker.addEventListener("error", () => {
      pending.forEach(({ no }) => no(new Error("The score engraver could not be loaded.")));
      pending.clear();
    });
  }
  return new Promise((yes, no) => {
    pending.set(++calls, { yes, no });
    worker.postMessage({ id: calls, call, ...message });
  });
}

// Metronome marks have notes among their words: the music font comes inside of Verovio's picture, and is handed to the page as bytes.
function useFont(base64) {
  if ([...document.fonts].some((face) => face.family === "Leipzig")) return;
  const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
  const face = new FontFace("Leipzig", bytes);
  document.fonts.add(face);
  face.load().catch(() => document.fonts.delete(face));
}

// Seconds <-> quarter notes, from the notes of a piece: [seconds...] beside [quarters...].
export function beatClock({ notes, beats, seconds }) {
  const pairs = notes.map((note, i) => [note[0], beats[i][0]]).sort((a, b) => a[0] - b[0]);
  const ends = notes.map((note, i) => [note[0] + note[1], beats[i][0] + beats[i][1]]);
  const last = ends.reduce((a, b) => (b[0] > a[0] ? b : a), [seconds || 1, 0]);
  const known = [[0, pairs.length && pairs[0][0] > 0 ? 0 : (pairs[0]?.[1] ?? 0)]];
  for (const pair of [...pairs, last]) {
    const before = known[known.length - 1];
    if (pair[0] > before[0] + 1e-4 && pair[1] > before[1] + 1e-6) known.push(pair);
  }
  const along = (from, to) => (value) => {
    let low = 0;
    let high = known.length - 1;
    while (low < high - 1) {
      const middle = (low + high) >> 1;
      if (known[middle][from] <= value) low = middle;
      else high = middle;
    }
    if (known.length < 2) return value;
    const [a, b] = [known[low], known[high]];
    return a[to] + ((value - a[from]) * (b[to] - a[to])) / (b[from] - a[from] || 1);
  };
  return { quarters: along(0, 1), seconds: along(1, 0) };
}

export class Score {
  #piece = null;
  #clock = null;
  #events = []; // [{ quarters, on, off, measure }]
  #pages = 0;
  #page = 0;
  #ticket = 0;
  #place = -1;
  #sounding = new Set();
  #pageOf = new Map(); // measure id -> page
  #tell = new Set();
  #off;

  constructor(player) {
    this.player = player;
    this.paper = h("div", { class: "paper" });
    this.label = h("span", {});
    this.back = h("button", { class: "quiet round", type: "button", "aria-label": "Page before", onclick: () => this.show(this.#page - 1) }, icon("left"));
    this.next = h("button", { class: "quiet round", type: "button", "aria-label": "Next page", onclick: () => this.show(this.#page + 1) }, icon("right"));
    this.turn = h("div", { class: "pages", hidden: true }, this.back, this.label, this.next);
    this.element = h("div", { class: "score", role: "region", "aria-label": "Score" }, this.paper, this.turn);
    this.#off = player.on("time", () => this.#follow());
    this.paper.addEventListener("click", (event) => this.#click(event));
  }

  close() {
    this.#off();
    this.#ticket++;
  }

  // xml: a promise of MusicXML; tell: numbers of telling bars, from 1.
  async set(piece, xml, tell = []) {
    const ticket = ++this.#ticket;
    this.#piece = piece;
    this.#clock = beatClock(piece);
    this.#tell = new Set(tell);
    this.turn.hidden = true;
    this.paper.replaceChildren(wait("Engraving the score…"));
    try {
      const text = await xml;
      const width = Math.max(320, this.paper.clientWidth || this.element.clientWidth || 800);
      const { pages, times } = await engrave("load", { xml: text, width });
      if (ticket !== this.#ticket) return;
      this.#events = times.map((t) => ({ quarters: t.qstamp, on: t.on ?? [], off: t.off ?? [], measure: t.measureOn }));
      this.#pages = pages;
      this.#pageOf.clear();
      this.#place = -1;
      await this.show(1);
      this.#follow();
    } catch (error) {
      if (ticket === this.#ticket) this.paper.replaceChildren(notice(`The score cannot be shown: ${error.message}`));
    }
  }

  async show(page) {
    if (page < 1 || page > this.#pages) return;
    const ticket = this.#ticket;
    const { svg, font } = await engrave("page", { page });
    if (font) useFont(font);
    if (ticket !== this.#ticket) return;
    const drawn = new DOMParser().parseFromString(svg, "image/svg+xml").documentElement;
    drawn.classList.add("engraved");
    drawn.setAttribute("role", "img");
    drawn.setAttribute("aria-label", `Score, page ${page} of ${this.#pages}`);
    drawn.removeAttribute("width");
    drawn.removeAttribute("height");
    this.paper.replaceChildren(document.importNode(drawn, true));
    this.#page = page;
    this.#sounding.clear();
    this.#place = -1;
    this.turn.hidden = this.#pages < 2;
    this.label.textContent = `Page ${page} of ${this.#pages}`;
    this.back.disabled = page === 1;
    this.next.disabled = page === this.#pages;
    this.paper.querySelectorAll("g.measure").forEach((measure) => this.#pageOf.set(measure.id, page));
    this.#shade();
    this.#follow();
  }

  #shade() {
    const measures = this.#events.filter((e) => e.measure).map((e) => e.measure);
    for (const bar of this.#tell) {
      const measure = this.paper.querySelector(`#${CSS.escape(measures[bar - 1] ?? "-")}`);
      const staves = measure && [...measure.querySelectorAll(":scope > g.staff")].map((staff) => staff.getBBox());
      if (!staves?.length) continue;
      const left = Math.min(...staves.map((b) => b.x));
      const top = Math.min(...staves.map((b) => b.y)) - 120;
      const width = Math.max(...staves.map((b) => b.x + b.width)) - left;
      const height = Math.max(...staves.map((b) => b.y + b.height)) + 120 - top;
      measure.prepend(s("rect", { class: "tell", x: left, y: top, width, height, rx: 60 }));
    }
  }

  #follow() {
    if (!this.#events.length || !this.element.isConnected || !this.element.offsetParent) return;
    const quarters = this.#clock.quarters(this.player.time) + 1e-3;
    let low = 0;
    let high = this.#events.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.#events[middle].quarters <= quarters) low = middle;
      else high = middle - 1;
    }
    if (low === this.#place) return;
    this.#place = low;
    this.#colour(low);
    this.#turnTo(low);
  }

  #colour(place) {
    const sounding = new Set();
    let began = null;
    for (let i = Math.max(0, place - 400); i <= place; i++) {
      this.#events[i].off.forEach((id) => sounding.delete(id));
      this.#events[i].on.forEach((id) => sounding.add(id));
      if (this.#events[i].on.length) began = this.#events[i].on;
    }
    const atStart = this.player.time < 0.01 && !this.player.playing;
    this.paper.querySelectorAll("g.sounding").forEach((g) => g.classList.remove("sounding"));
    this.paper.querySelector(".playhead")?.remove();
    if (atStart) return;
    const find = (id) => this.paper.querySelector(`#${CSS.escape(id)}`);
    sounding.forEach((id) => find(id)?.classList.add("sounding"));
    const first = began?.map(find).find(Boolean);
    const measure = first?.closest("g.measure");
    if (!measure) return;
    const staves = [...measure.querySelectorAll(":scope > g.staff")].map((staff) => staff.getBBox());
    const head = (first.querySelector("g.notehead") ?? first).getBBox();
    const x = head.x + head.width / 2;
    measure.append(s("line", { class: "playhead", x1: x, x2: x, y1: Math.min(...staves.map((b) => b.y)) - 150, y2: Math.max(...staves.map((b) => b.y + b.height)) + 150 }));
  }

  async #turnTo(place) {
    if (!this.player.playing && this.player.time < 0.01) return;
    let at = place;
    while (at > 0 && !this.#events[at].measure) at--;
    const measure = this.#events[at].measure;
    if (!measure || this.paper.querySelector(`#${CSS.escape(measure)}`)) return;
    const page = this.#pageOf.get(measure) ?? (await engrave("pageOf", { element: measure })).page;
    this.#pageOf.set(measure, page);
    if (page && page !== this.#page) await this.show(page);
  }

  #click(event) {
    const target = event.target.closest("g.note, g.measure");
    if (!target) return;
    const found = this.#events.find((e) => e.on.includes(target.id) || e.measure === target.id);
    if (found) this.player.seek(this.#clock.seconds(found.quarters));
  }
}
