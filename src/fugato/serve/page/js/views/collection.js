// A collection: a folder in, a table that can be sorted and filtered, and a map on which alike pieces lie near each other.

import * as api from "../api.js";
import { drop, shelf } from "../components/drop.js";
import { StyleMap } from "../components/style-map.js";
import { notice, remark, wait } from "../components/notice.js";
import { clock, count, h, icon, percent, say } from "../dom.js";
import { SCORES, hasSuffix, save } from "../files.js";
import { table as answersTable } from "./who.js";

const BATCH = 8;
const MAPPED = 64; // pieces on the map, where the server does not say how many it takes
const ENVELOPE = 1000; // bytes around a file in a request
const SHOWN = 500; // rows at a time
const COLUMNS = [
  { key: "input", title: "File", of: (a) => a.input },
  { key: "name", title: "Composer", of: (a) => (a.error ? "" : a.known ? a.name : "None of these") },
  { key: "probability", title: "Probability", of: (a) => (a.error ? -1 : a.probability), number: true },
  { key: "period", title: "Period", of: (a) => a.period?.name ?? "" },
  { key: "repertoire", title: "Repertoire", of: (a) => a.repertoire?.name ?? "" },
  { key: "work", title: "Recognised work", of: (a) => (a.work ? `${a.work.composer}: ${a.work.title}` : "") },
  { key: "bars", title: "Bars", of: (a) => a.music?.bars ?? 0, number: true },
  { key: "seconds", title: "Length", of: (a) => a.music?.seconds ?? 0, number: true },
];

export function open(main) {
  const answers = [];
  let files = [];
  let sorting = { key: "input", up: true };
  let picked = null;
  let limits = { files: BATCH, map_files: MAPPED, bytes: Infinity };
  const stop = new AbortController();
  const most = h("p", { class: "soft small" });
  api.health().then((told) => {
    limits = { ...limits, ...told.limits };
    most.textContent = `Pieces lie near each other where they are alike in style. At most ${limits.map_files} are drawn.`;
  }).catch(() => {});

  const zone = drop({ title: "Drop a folder here", formats: "Every MIDI, MusicXML, MXL, kern and ABC file in it, down to the last folder", folder: true, label: "Choose a folder", picture: shelf, onfiles: ask });
  const status = h("div", { class: "stack tight" });
  const map = new StyleMap({ onpick: (input) => { picked = input; draw(); body.querySelector(".picked")?.scrollIntoView({ block: "nearest", behavior: "smooth" }); } });
  const mapBox = h("section", { class: "stage", hidden: true, "aria-label": "Style map" },
    h("div", { class: "row between" }, h("h3", {}, "Style map"), most), map.element);

  const search = h("input", { type: "search", id: "search", placeholder: "File, composer or work", oninput: draw });
  const who = h("select", { id: "composer", onchange: draw });
  const which = h("select", { id: "which", onchange: draw },
    [["all", "All"], ["known", "Named"], ["unknown", "None of these"], ["work", "Recognised works"], ["failed", "Without an answer"]].map(([value, text]) => h("option", { value }, text)));
  const shown = h("p", { class: "soft small", role: "status" });
  const headers = COLUMNS.map((column) => h("th", { scope: "col", class: column.number ? "number" : null, "data-key": column.key },
    h("button", { type: "button", onclick: () => {
      sorting = { key: column.key, up: sorting.key === column.key ? !sorting.up : !column.number };
      draw();
    } }, column.title)));
  const body = h("tbody", {});
  const box = h("section", { class: "stack tight", hidden: true, "aria-label": "Answers" },
    h("div", { class: "filters" },
      h("div", { class: "field" }, h("label", { for: "search" }, "Find"), search),
      h("div", { class: "field" }, h("label", { for: "composer" }, "Composer"), who),
      h("div", { class: "field" }, h("label", { for: "which" }, "Show"), which)),
    h("div", { class: "row between" }, shown, h("div", { class: "row" },
      h("button", { type: "button", onclick: () => save("answers.csv", answersTable(answers), "text/csv") }, icon("down"), "CSV"),
      h("button", { type: "button", onclick: () => save("answers.jsonl", answers.map((a) => `${JSON.stringify(a)}\n`).join(""), "application/jsonl") }, icon("down"), "JSON Lines"))),
    h("div", { class: "table", tabindex: 0, role: "region", "aria-label": "Table of answers" }, h("table", {}, h("thead", {}, h("tr", {}, headers)), body)));

  main.append(
    h("header", { class: "head" }, h("h1", {}, "A collection"), h("p", {}, "Drop a whole folder. Every piece gets its answer in one table, and its place on a map of styles.")),
    status, mapBox, box, zone);

  async function ask(dropped) {
    const music = dropped.filter((file) => hasSuffix(file.name, SCORES));
    if (!music.length) return status.replaceChildren(notice(`There is no music among ${count(dropped.length, "file")}: none ends in ${SCORES.join(", ")}.`));
    files = music;
    answers.length = 0;
    zone.shrink();
    main.classList.add("answered");
    scrollTo({ top: 0, behavior: "smooth" });
    const waiting = wait(`0 of ${count(music.length, "piece")}`);
    status.replaceChildren(waiting);
    box.hidden = false;
    mapBox.hidden = true;
    for (let i = 0; i < music.length; i += BATCH) {
      const some = music.slice(i, i + Math.min(BATCH, limits.files));
      try {
        answers.push(...await api.identify(some, {}, stop.signal));
      } catch (error) {
        if (error.name === "AbortError") return;
        answers.push(...some.map((file) => ({ input: file.path, error: { kind: error.kind, message: error.message } })));
      }
      waiting.at(answers.length / music.length, `${answers.length} of ${count(music.length, "piece")}`);
      composers();
      draw();
    }
    waiting.remove();
    say(`${count(music.length, "piece")} answered`);
    await place();
  }

  async function place() {
    const good = new Set(answers.filter((a) => !a.error).map((a) => a.input));
    let bytes = 0;
    const usable = files.filter((file) => good.has(file.path)).slice(0, limits.map_files).filter((file) => (bytes += file.size + ENVELOPE) < limits.bytes);
    if (usable.length < 3) return;
    const waiting = wait("Drawing the map…");
    status.replaceChildren(waiting);
    try {
      const { points } = await api.styleMap(usable, stop.signal);
      mapBox.hidden = false;
      map.set(points);
      if (good.size > usable.length) status.append(remark(`The map shows the first ${usable.length} of ${good.size} pieces; fugato map draws them all.`));
    } catch (error) {
      if (error.name !== "AbortError") status.append(notice(`The map could not be drawn: ${error.message}`));
    } finally {
      waiting.remove();
    }
  }

  function composers() {
    const chosen = who.value;
    const names = [...new Set(answers.filter((a) => !a.error && a.known).map((a) => a.name))].sort();
    who.replaceChildren(h("option", { value: "" }, "Everyone"), ...names.map((name) => h("option", { value: name }, name)));
    who.value = names.includes(chosen) ? chosen : "";
  }

  function filtered() {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    const wanted = {
      all: () => true,
      known: (a) => !a.error && a.known,
      unknown: (a) => !a.error && !a.known,
      work: (a) => Boolean(a.work),
      failed: (a) => Boolean(a.error),
    }[which.value];
    const column = COLUMNS.find((c) => c.key === sorting.key);
    const way = sorting.up ? 1 : -1;
    return answers
      .filter((a) => wanted(a) && (!who.value || (a.known && a.name === who.value)))
      .filter((a) => words.every((word) => `${a.input} ${a.name ?? ""} ${a.work ? a.work.title : ""} ${a.work?.composer ?? ""}`.toLowerCase().includes(word)))
      .sort((a, b) => {
        const [x, y] = [column.of(a), column.of(b)];
        return way * (typeof x === "number" ? x - y : String(x).localeCompare(String(y), "en", { numeric: true }));
      });
  }

  function draw() {
    const rows = filtered();
    headers.forEach((th) => th.setAttribute("aria-sort", th.dataset.key === sorting.key ? (sorting.up ? "ascending" : "descending") : "none"));
    shown.textContent = `${rows.length.toLocaleString("en")} of ${count(answers.length, "piece")}${rows.length > SHOWN ? `; the first ${SHOWN} are shown` : ""}`;
    body.replaceChildren(...rows.slice(0, SHOWN).map(row));
    map.filter(new Set(rows.map((a) => a.input)), picked);
  }

  function row(a) {
    const file = h("td", { class: "wrap" }, a.input);
    if (a.error) return h("tr", {}, file, h("td", { class: "wrap", colspan: COLUMNS.length - 1 }, h("span", { class: "soft" }, "No answer: "), a.error.message));
    return h("tr", { class: a.input === picked ? "picked" : null, onclick: () => { picked = a.input; draw(); } },
      file,
      h("td", {}, a.known ? a.name : h("span", { class: "soft" }, `None of these (nearest ${a.name})`)),
      h("td", { class: "number" }, h("span", { class: "mini", "aria-hidden": "true" }, h("i", { vars: { "--p": `${a.probability * 100}%` } })), percent(a.probability)),
      h("td", {}, a.period?.name ?? ""), h("td", {}, a.repertoire?.name ?? ""),
      h("td", { class: "wrap" }, a.work ? `${a.work.composer}: ${a.work.title}` : ""),
      h("td", { class: "number" }, a.music.bars ?? ""), h("td", { class: "number" }, clock(a.music.seconds ?? 0)));
  }

  return () => {
    stop.abort();
    map.close();
  };
}
