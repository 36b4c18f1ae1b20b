// What is asked of Compose: style, seed, length, temperature and the rest, remembered while the page is open.

import * as api from "../api.js";
import { h, icon } from "../dom.js";
import { SCORES, chosen } from "../files.js";
import { notice } from "./notice.js";

const INSTRUMENTS = [["", "As in the style"], [0, "Piano"], [6, "Harpsichord"], [19, "Organ"], [24, "Guitar"], [46, "Harp"], [40, "Violin"], [42, "Cello"], [48, "Strings"], [52, "Choir"], [56, "Trumpet"], [71, "Clarinet"], [73, "Flute"], [11, "Vibraphone"], [8, "Celesta"]];
const TONICS = [["C", "C"], ["D-", "D♭"], ["D", "D"], ["E-", "E♭"], ["E", "E"], ["F", "F"], ["F#", "F♯"], ["G", "G"], ["A-", "A♭"], ["A", "A"], ["B-", "B♭"], ["B", "B"]];
const MINORS = [["C", "C"], ["C#", "C♯"], ["D", "D"], ["E-", "E♭"], ["E", "E"], ["F", "F"], ["F#", "F♯"], ["G", "G"], ["G#", "G♯"], ["A", "A"], ["B-", "B♭"], ["B", "B"]];
const SEED_BARS = 8;

const remembered = {};

const whole = (text) => Math.max(0, Math.round(Number(text) || 0)) || "";
const option = ([value, text]) => h("option", { value }, text);

export function composeForm({ seed = null, onsubmit, onstop }) {
  let own = seed?.file ?? null;
  const value = (id, fallback) => remembered[id] ?? fallback;
  const keep = (id) => (event) => { remembered[id] = event.target.value; };
  const field = (id, label, control) => h("div", { class: "field" }, h("label", { for: id }, label), control);
  const select = (id, options) => h("select", { id, onchange: keep(id) }, options.map(option));
  const number = (id, min, max, fallback, placeholder = "") => h("input", { id, type: "number", min, max, value: value(id, fallback), placeholder, oninput: keep(id) });

  const style = h("select", { id: "style", onchange: keep("style") }, option(["", "Any style"]));
  const composer = h("select", { id: "seed-composer", onchange: () => pieces() });
  const piece = h("select", { id: "seed-piece" });
  const seedBars = h("input", { id: "seed-bars", type: "number", min: 1, max: 64, value: SEED_BARS });
  const ownBars = h("input", { id: "own-bars", type: "number", min: 1, max: 9999, value: seed?.bars ?? "", placeholder: "All" });
  const input = h("input", { type: "file", hidden: true, accept: SCORES.join(","), "aria-label": "A file of your own", onchange: () => {
    own = chosen(input)[0] ?? own;
    input.value = "";
    ownBars.value = "";
    named();
  } });
  const ownName = h("span", { class: "soft small" });
  const named = () => { ownName.textContent = own ? own.name : "Nothing chosen yet"; };
  const panels = {
    none: h("div", { hidden: true }),
    known: h("div", { class: "stack tight", hidden: true },
      h("div", { class: "pair" }, field("seed-composer", "Composer", composer), field("seed-bars", "Bars kept", seedBars)),
      field("seed-piece", "Piece", piece)),
    own: h("div", { class: "stack tight", hidden: true },
      h("div", { class: "row" }, h("button", { type: "button", onclick: () => input.click() }, icon("folder"), "Choose a file"), ownName, input),
      h("div", { class: "pair" }, field("own-bars", "Bars kept", ownBars))),
  };
  const kinds = [["none", "Nothing"], ["known", "A piece"], ["own", "My file"]];
  const tabs = kinds.map(([kind, text]) => h("button", { type: "button", "data-seed": kind, onclick: () => from(kind) }, text));
  let kind = own ? "own" : "none";
  function from(next) {
    kind = next;
    tabs.forEach((tab) => tab.setAttribute("aria-pressed", String(tab.dataset.seed === kind)));
    for (const [name, panel] of Object.entries(panels)) panel.hidden = name !== kind;
  }

  const degrees = h("output", { for: "temperature" });
  const temperature = h("input", { id: "temperature", type: "range", min: 0.5, max: 5, step: 0.1, value: value("temperature", 1), "aria-describedby": "heat", oninput: (event) => {
    keep("temperature")(event);
    warm();
  } });
  const heat = h("p", { class: "small soft", id: "heat" });
  function warm() {
    const t = Number(temperature.value);
    degrees.textContent = t.toFixed(1);
    temperature.style.setProperty("--at", `${((t - 0.5) / 4.5) * 100}%`);
    heat.textContent = t < 0.8 ? "Plain: the likeliest notes." : t <= 1.2 ? "As the composer might." : t <= 2 ? "Adventurous." : "Wild: style gives way to chance.";
  }

  const bars = number("bars", 1, 512, 16);
  const program = select("program", INSTRUMENTS);
  const tempo = number("tempo", 10, 500, "", "As in the style");
  const key = h("select", { id: "key", onchange: keep("key") }, option(["", "As it comes"]),
    h("optgroup", { label: "Major" }, TONICS.map(([v, t]) => option([`${v} major`, `${t} major`]))),
    h("optgroup", { label: "Minor" }, MINORS.map(([v, t]) => option([`${v} minor`, `${t} minor`]))));
  const variations = number("variations", 1, 8, 1);
  const random = number("random", 0, 2 ** 31, "", "Drawn");
  const guidance = number("guidance", 0, 10, 3);
  guidance.step = 0.1;
  const topP = number("top-p", 0.01, 1, 0.98);
  topP.step = 0.01;
  const dice = h("button", { type: "button", class: "round", "aria-label": "Draw a random seed", onclick: () => {
    random.value = Math.floor(Math.random() * 1e6);
    remembered.random = random.value;
  } }, icon("dice"));
  const go = h("button", { type: "submit", class: "primary large" }, icon("pen"), "Compose");
  const halt = h("button", { type: "button", class: "large", hidden: true, "data-stop": "", onclick: onstop }, icon("stop"), "Stop");
  const trouble = h("div", {});

  const element = h("form", { class: "form", "aria-label": "What to compose", novalidate: true, onsubmit: (event) => {
    event.preventDefault();
    onsubmit();
  } },
    field("style", "In the style of", style),
    h("div", { class: "field" }, h("span", { class: "label", id: "seed-label" }, "Going on from"),
      h("div", { class: "segments wide", role: "group", "aria-labelledby": "seed-label" }, tabs)),
    ...Object.values(panels),
    h("div", { class: "field" }, h("label", { for: "temperature" }, "Temperature", degrees), temperature, heat),
    h("div", { class: "pair" }, field("bars", "New bars", bars), field("variations", "Variations", variations)),
    h("div", { class: "pair" }, field("program", "Instrument", program), field("tempo", "Tempo", tempo)),
    h("div", { class: "pair" }, field("key", "Key", key), h("div", { class: "field" }, h("label", { for: "random" }, "Random seed"), h("div", { class: "with" }, random, dice))),
    h("details", {}, h("summary", {}, "More"), h("div", { class: "pair" }, field("guidance", "Pull of the style", guidance), field("top-p", "Share drawn from", topP))),
    trouble,
    h("div", { class: "actions" }, go, halt));

  let known = [];
  Promise.all([api.composers(), api.examples()]).then(([told, examples]) => {
    const full = new Map(told.composers.map((c) => [c.name, c.full ?? c.full_name ?? c.name]));
    const styles = told.styles ?? [];
    style.append(
      h("optgroup", { label: "Composers" }, styles.map((name) => option([name, full.get(name) ?? name]))),
      h("optgroup", { label: "Periods" }, (told.periods ?? []).map((name) => option([name, name]))));
    style.value = value("style", styles.includes("Chopin") ? "Chopin" : (styles[0] ?? ""));
    if (!styles.length) trouble.replaceChildren(notice("This server has no model that composes. `fugato models` says which there are."));
    known = examples.filter((e) => e.seed);
    composer.replaceChildren(...[...new Set(known.map((e) => e.composer))].sort().map((name) => option([name, full.get(name) ?? name])));
    pieces();
  }).catch((error) => trouble.replaceChildren(notice(error.message)));

  function pieces() {
    piece.replaceChildren(...known.filter((e) => e.composer === composer.value).map((e) => option([e.name, e.title])));
  }

  // The file that is gone on from and how many of its bars are kept, none told for all.
  async function seedOf() {
    if (kind === "own" && !own) throw new Error("Choose a file to go on from, or go on from nothing.");
    if (kind === "own") return { seed: own, kept: whole(ownBars.value) };
    if (kind === "none" || !piece.value) return { seed: null };
    return { seed: await api.exampleFile(piece.value), kept: whole(seedBars.value) || SEED_BARS };
  }

  program.value = value("program", "");
  key.value = value("key", "");
  from(kind);
  named();
  warm();

  return {
    element,
    busy(on) {
      go.hidden = on;
      halt.hidden = !on;
    },
    // The fields of the request and its seed; `asked` may bring a seed, how many of its bars are kept, and bars to be written anew.
    async read(asked = {}) {
      const { seed, kept } = asked.seed ? asked : await seedOf();
      const fields = {
        seed_bars: kept,
        style: style.value, temperature: temperature.value, top_p: topP.value, guidance: guidance.value,
        bars: asked.infill ? "" : bars.value, infill: asked.infill, tempo: tempo.value, key: key.value, program: program.value,
        variations: Number(variations.value) || 1, random_seed: random.value,
      };
      return { fields, seed };
    },
  };
}
