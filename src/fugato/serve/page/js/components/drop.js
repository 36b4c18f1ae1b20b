// The place where files land: a drop zone with a button, and the pieces that come along.

import { chosen, dropped } from "../files.js";
import { h, icon, s } from "../dom.js";
import * as api from "../api.js";
import { notice } from "./notice.js";

// The exposition of a fugue as a piano roll: voices that enter one after another, each a subject and then a line that goes on.
// [start, length, semitones above the lowest line], in quarter notes; the subject is that of BWV 847.
const SUBJECT = [[0.5, 0.25, 12], [0.75, 0.25, 11], [1, 0.5, 12], [1.5, 0.5, 7], [2, 0.5, 8], [2.5, 0.25, 12], [2.75, 0.25, 11], [3, 0.5, 12], [3.5, 0.5, 14], [4, 0.5, 7], [4.5, 0.25, 12], [4.75, 0.25, 11], [5, 0.5, 12], [5.5, 0.5, 14], [6, 0.25, 5], [6.25, 0.25, 7], [6.5, 1, 8], [7.5, 0.25, 7], [7.75, 0.25, 5], [8, 0.5, 3]];
const ANSWER = SUBJECT.map(([start, length, pitch]) => [start + 8, length, pitch + 7]);
const COUNTER = [[8.5, 0.5, 0], [9, 0.5, 12], [9.5, 0.5, 11], [10, 0.5, 9], [10.5, 0.5, 7], [11, 1, 5], [12, 0.5, 3], [12.5, 0.5, 9], [13, 0.5, 8], [13.5, 0.5, 6], [14, 1, 5], [15, 0.5, 8], [15.5, 0.5, 7]];
const VOICES = [
  { name: "lead", notes: SUBJECT },
  { name: "", notes: [...ANSWER, ...COUNTER] },
  { name: "lead", notes: SUBJECT.map(([start, length, pitch]) => [start + 16, length, pitch - 12]) },
  { name: "", notes: COUNTER.flatMap(([start, length, pitch]) => [[start + 8, length, pitch + 12], [start + 8, length, pitch + 4]]) },
];

export function art(className = "art") {
  const svg = s("svg", { class: className, viewBox: "0 0 25.5 9", preserveAspectRatio: "xMidYMin slice", "aria-hidden": "true" });
  for (const { name, notes } of VOICES) {
    for (const [start, length, pitch] of notes) {
      svg.append(s("rect", { class: name, x: 0.6 + start, y: 5.3 - pitch * 0.2, width: length - 0.07, height: 0.17, rx: 0.06, fill: "currentColor", opacity: name ? 1 : 0.6 }));
    }
  }
  return svg;
}

// The same place for recordings and for collections: a sound that swells and dies, a shelf as points.
export function wave() {
  const svg = s("svg", { class: "art", viewBox: "0 0 120 42", preserveAspectRatio: "xMidYMin slice", "aria-hidden": "true" });
  for (let i = 0; i < 118; i++) {
    const swell = Math.sin((Math.PI * i) / 118) ** 0.7 * (0.45 + 0.55 * Math.abs(Math.sin(i * 0.21) * Math.cos(i * 0.057)));
    const height = 1.2 + 19 * swell * (0.55 + 0.45 * Math.abs(Math.sin(i * 1.7 + Math.sin(i))));
    svg.append(s("rect", { class: i < 44 ? "lead" : "", x: 1 + i, y: 13.5 - height / 2, width: 0.55, height, rx: 0.27, fill: "currentColor", opacity: i < 44 ? 1 : 0.6 }));
  }
  return svg;
}

export function shelf() {
  const svg = s("svg", { class: "art", viewBox: "0 0 120 42", preserveAspectRatio: "xMidYMin slice", "aria-hidden": "true" });
  const groups = [[30, 11, 16], [58, 8, 10], [84, 14, 18], [104, 27, 12], [70, 24, 8]];
  groups.forEach(([x, y, size], g) => {
    for (let i = 0; i < size; i++) {
      const turn = i * 2.399963; // the golden angle spreads points evenly
      const far = 1.55 * Math.sqrt(i);
      svg.append(s("circle", { class: g === 2 ? "lead" : "", cx: x + far * 1.5 * Math.cos(turn), cy: y + far * Math.sin(turn), r: 0.75, fill: "currentColor", opacity: g === 2 ? 1 : 0.6 }));
    }
  });
  return svg;
}

// drop({ title, formats, accept, folder, onfiles }) -> element with .shrink()
export function drop({ title, formats, accept, folder = false, label, picture = art, onfiles }) {
  const input = h("input", { type: "file", multiple: true, hidden: true, "aria-label": title, onchange: () => {
    const files = chosen(input);
    input.value = "";
    if (files.length) onfiles(files);
  } });
  if (folder) input.setAttribute("webkitdirectory", "");
  else if (accept) input.accept = accept.join(",");
  const zone = h("section", { class: "drop", "aria-label": title },
    picture(),
    h("p", { class: "big" }, title),
    h("div", { class: "row" },
      h("button", { class: "primary large", type: "button", onclick: () => input.click() }, icon("plus"), label ?? (folder ? "Choose a folder" : "Choose files")),
      formats && h("p", { class: "small soft" }, formats)),
    input);
  let depth = 0;
  const over = (on) => zone.classList.toggle("over", on);
  zone.addEventListener("dragenter", (event) => { event.preventDefault(); depth++; over(true); });
  zone.addEventListener("dragover", (event) => event.preventDefault());
  zone.addEventListener("dragleave", () => { if (--depth <= 0) { depth = 0; over(false); } });
  zone.addEventListener("drop", async (event) => {
    event.preventDefault();
    depth = 0;
    over(false);
    const files = await dropped(event.dataTransfer);
    if (files.length) onfiles(files);
  });
  zone.shrink = () => zone.classList.add("small");
  return zone;
}

// Buttons for the pieces that come along. onpick(example) is given what the server lists.
export function examples({ kind, most = 12, picked = null, onpick }) {
  const list = h("ul", { class: "examples" });
  const box = h("section", { class: "stack tight", "aria-label": "Examples" }, h("h3", {}, "Or try one of these"), list);
  api.examples().then((all) => {
    const some = all.filter((e) => e.kind === kind);
    box.hidden = !some.length;
    list.append(...some.slice(0, most).map((e) => h("li", {},
      h("button", { type: "button", "aria-pressed": String(e.name === picked), "data-name": e.name, onclick: () => onpick(e) },
        h("span", {}, e.title), h("span", { class: "soft" }, e.composer)))));
  }).catch((error) => list.replaceWith(notice(error.message)));
  box.mark = (name) => list.querySelectorAll("button").forEach((b) => b.setAttribute("aria-pressed", String(b.dataset.name === name)));
  return box;
}
