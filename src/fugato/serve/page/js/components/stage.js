// A piece as one sees and hears it: roll or score above, the player below, both with the same cursor.

import { h, icon } from "../dom.js";
import { NotePlayer } from "../audio/note-player.js";
import * as api from "../api.js";
import { Roll } from "./roll.js";
import { Score } from "./score.js";
import { transport } from "./transport.js";

export class Stage {
  #xml = null;
  #engraved = false;
  #tell = [];
  #piece = null;

  constructor({ selectable = false, onselect } = {}) {
    this.player = new NotePlayer();
    this.roll = new Roll(this.player, { selectable, onselect });
    this.score = new Score(this.player);
    this.score.element.hidden = true;
    this.legend = h("div", { class: "legend" });
    this.tabs = ["Piano roll", "Score"].map((name, i) =>
      h("button", { type: "button", "aria-pressed": String(i === 0), onclick: () => this.show(i) }, name));
    this.tabs[1].disabled = true;  // until there is a piece
    const closer = (factor, label, sign) =>
      h("button", { class: "quiet round", type: "button", "aria-label": label, onclick: () => { this.roll.zoom *= factor; } }, icon(sign));
    this.zoom = h("div", { class: "row" }, closer(0.5, "See more bars", "minus"), closer(2, "Look closer", "plus"));
    this.bar = transport(this.player);
    this.element = h("section", { class: "stage", "aria-label": "The piece" },
      h("div", { class: "row between" }, h("div", { class: "segments", role: "group", "aria-label": "Show as" }, this.tabs), this.zoom),
      this.roll.element, this.score.element, this.legend, this.bar);
    this.element.addEventListener("keydown", (event) => {
      if (event.key !== " " || event.target.closest("button, input, select, a")) return;
      event.preventDefault();
      this.player.toggle();
    });
  }

  // piece: what /api/notes answers; xml: a function that fetches the MusicXML, called when the score is first wanted.
  set(piece, { xml = null, marks = [], fresh, legend = [] } = {}) {
    this.#piece = piece;
    this.#xml = xml;
    this.#engraved = false;
    this.#tell = marks.filter((m) => m.kind === "tell").map((m) => m.bar);
    this.player.load(piece);
    this.roll.set(piece, { marks, fresh });
    this.legend.replaceChildren(...legend.map(([name, text]) => h("span", { class: name }, text)));
    this.tabs[1].disabled = !xml;
    if (!xml) this.show(0);
    else if (!this.score.element.hidden) this.show(1);
  }

  show(which) {
    this.tabs.forEach((tab, i) => tab.setAttribute("aria-pressed", String(i === which)));
    this.roll.element.hidden = which === 1;
    this.zoom.hidden = which === 1;
    this.score.element.hidden = which === 0;
    if (which === 0) this.roll.draw();
    if (which === 1 && !this.#engraved) {
      this.#engraved = true;
      this.score.set(this.#piece, this.#xml(), this.#tell);
    }
  }

  close() {
    this.player.pause();
    this.roll.close();
    this.score.close();
    this.bar.close();
  }
}

export const scoreOf = (file) => async () => (await api.convert(file, "musicxml")).text();

// Telling bars of an answer, as the roll marks them: those for the first name, and those for the second.
export function telling(answer) {
  const bars = answer.evidence?.bars ?? [];
  const most = Math.max(1e-9, ...bars.map((b) => b.weight));
  return bars.map((b) => ({ bar: b.bar, strength: b.weight / most, kind: b.for === answer.name ? "tell" : "rival" }));
}
