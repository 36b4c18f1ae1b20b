// Compose: what is asked for on the left; on the right the piece, seen and heard while it is written, and what is said of it afterwards.

import * as api from "../api.js";
import * as instrument from "../audio/instrument.js";
import { wake } from "../audio/context.js";
import { art } from "../components/drop.js";
import { composeForm } from "../components/compose-form.js";
import { notice, remark, wait } from "../components/notice.js";
import { ranking } from "../components/ranking.js";
import { Stage } from "../components/stage.js";
import { count, h, icon, say } from "../dom.js";
import { save } from "../files.js";
import { takeSeed } from "../handoff.js";
import { fromBars } from "../pieces.js";

const LONGEST_COMMENT = 2000; // characters, as the server takes them
const FILES = [["mid", "MIDI"], ["wav", "WAV"], ["musicxml", "MusicXML"], ["png", "PNG"]];

export function open(main) {
  const form = composeForm({ seed: takeSeed(), onsubmit: begin, onstop: stop });
  const status = h("div", { class: "stack tight" });
  const after = h("div", { class: "stack" });
  const empty = h("div", { class: "sheet empty" }, h("div", { class: "stack" }, art(""), h("p", {}, "Choose a style and press Compose: the notes appear here and sound while they are written.")));
  const right = h("div", { class: "stack" }, status, empty, after);
  main.append(
    h("header", { class: "head" }, h("h1", {}, "Compose"), h("p", {}, "New music in a composer’s style: from nothing, or going on from a piece.")),
    h("section", { class: "split" }, form.element, right));

  let stage = null;
  let job = null;
  let endStream = () => {};
  let result = null; // { file, piece, report, fresh }
  let seedFile = null;
  let closed = false;

  async function begin(asked = {}) {
    wake();
    instrument.prepare();
    endStream();
    status.replaceChildren(wait("Waiting for the first bar…"));
    after.replaceChildren();
    form.busy(true);
    main.classList.add("answered");
    (matchMedia("(max-width: 59.99rem)").matches ? right : main).scrollIntoView({ behavior: "smooth" });
    try {
      const { fields, seed } = await form.read(asked);
      seedFile = seed;
      const started = await api.startComposing(fields, seed);
      follow(started, Number(fields.bars) || 0);
    } catch (error) {
      fail(error);
    }
  }

  function fail(error) {
    job = null;
    form.busy(false);
    status.replaceChildren(notice(error.message, seedFile?.name));
  }

  function follow(started, wanted) {
    job = started.job;
    const bars = new Map(); // number -> event of the first variation
    const variations = started.progress?.variations ?? 1;
    let written = 0;
    const waiting = wait("Waiting for the first bar…");
    status.replaceChildren(waiting);
    freshStage();
    stage.player.open = true;

    endStream = api.composed(job, {
      bar(event) {
        if (!event.seed) {
          written++;
          const all = wanted * variations;
          waiting.at(all ? Math.min(1, written / all) : null, `Bar ${written}${all ? ` of ${all}` : ""}${variations > 1 ? `, piece ${event.variation} of ${variations}` : ""}`);
        }
        if (event.variation !== 1) return;
        const first = !event.seed && ![...bars.values()].some((b) => !b.seed);
        bars.set(event.bar, event);
        grow(bars, event, wanted);
        if (first) {
          stage.player.seek(event.start);
          stage.player.play({ atOnce: true });
        }
      },
      done(told) {
        if (told.status === "failed") return fail(new Error(told.problem?.detail ?? "It could not be written."));
        if (told.status === "stopped") return stopped(bars);
        finished(told);
      },
      error: fail,
    });
    follow.bars = bars;
  }

  function freshStage() {
    stage?.close();
    stage = new Stage({ selectable: true, onselect: (range) => after.infill?.(range) });
    empty.remove();
    right.querySelector(".stage")?.remove();
    status.after(stage.element);
  }

  function grow(bars, event, wanted) {
    const all = [...bars.values()].sort((a, b) => a.bar - b.bar);
    const long = all.reduce((sum, b) => sum + (b.end - b.start), 0) / all.length;
    const seeds = all.filter((b) => b.seed).length;
    const piece = {
      notes: all.flatMap((b) => b.notes),
      bars: all.map((b) => b.start),
      seconds: Math.max(all[all.length - 1].end, (seeds + (wanted || all.length)) * long),
    };
    const fresh = new Set(all.filter((b) => !b.seed).flatMap((b) => b.notes));
    stage.player.parts = (event.programs ?? []).map((program) => ({ program }));
    stage.player.append(event.notes, event.end);
    stage.roll.set(piece, { fresh: (note) => fresh.has(note) });
    stage.tabs[1].disabled = true;
  }

  async function stop() {
    const stopping = job;
    job = null;
    endStream();
    form.busy(false);
    const bars = follow.bars ?? new Map();
    if (stopping) await api.stopComposing(stopping).catch(() => {});
    if (bars.size) stopped(bars);
    else status.replaceChildren();
  }

  // What was written until it was stopped is a piece like any other.
  async function stopped(bars) {
    form.busy(false);
    stage.player.close();
    stage.player.pause();
    const last = [...bars.values()].pop();
    const file = fromBars(bars.values(), (last.programs ?? []).map((program) => ({ program })), "stopped.mid");
    const seeds = [...bars.values()].filter((b) => b.seed).length;
    status.replaceChildren(remark(`Stopped after ${count([...bars.values()].length - seeds, "new bar")}.`));
    try {
      const [piece, [answer]] = await Promise.all([api.notes(file), api.identify([file])]);
      show({ file, piece, answer, report: null, newBars: [seeds + 1, piece.bars.length] });
    } catch (error) {
      status.append(notice(error.message));
    }
  }

  async function finished(told) {
    job = null;
    form.busy(false);
    status.replaceChildren();
    say(`${count(told.pieces.length, "piece")} written`);
    const results = told.pieces.map((report) => ({ report, answer: report.answer, newBars: report.new_bars, job: told.job, url: report.files.mid }));
    await pickVariation(results, 0);
  }

  async function pickVariation(results, index) {
    const chosen = results[index];
    try {
      if (!chosen.piece) {
        chosen.file = new File([await api.blob(chosen.url)], `${chosen.report.name}.mid`, { type: "audio/midi" });
        chosen.piece = await api.notes(chosen.file);
      }
    } catch (error) {
      return status.replaceChildren(notice(error.message));
    }
    if (closed) return;
    if (results.length > 1) {
      status.replaceChildren(h("div", { class: "segments", role: "group", "aria-label": "Variations" },
        results.map((r, i) => h("button", { type: "button", "aria-pressed": String(i === index), onclick: () => pickVariation(results, i) }, `Piece ${i + 1}`))));
    }
    show(chosen);
  }

  function show(next) {
    result = next;
    const { piece, newBars, report } = result;
    const keep = stage.player.playing ? stage.player.time : null; // music that sounds goes on
    stage.player.close();
    const from = piece.bars[newBars[0] - 1] ?? 0;
    const to = piece.bars[newBars[1]] ?? piece.seconds + 1;
    const xml = report ? async () => (await api.blob(report.files.musicxml)).text() : async () => (await api.convert(result.file, "musicxml")).text();
    const playing = keep !== null;
    stage.set(piece, { xml, fresh: (note) => note[0] >= from - 0.01 && note[0] < to - 0.01, legend: [["tell", "new"], newBars[0] > 1 && ["", "the seed"]].filter(Boolean) });
    if (playing) {
      stage.player.seek(Math.min(keep, piece.seconds));
      stage.player.play({ atOnce: true });
    }
    after.replaceChildren(...[edit(), h("div", { class: "split even" }, whoWrote(), copying()), downloads(), judged(), details()].filter(Boolean));
  }

  function edit() {
    const bars = result.piece.bars.length;
    const input = (id, label, value) => h("input", { id, type: "number", min: 1, max: bars, value, "aria-label": label, oninput: chosen });
    const first = input("from", "First bar to write anew", Math.max(1, bars - 3));
    const last = input("to", "Last bar to write anew", bars);
    const range = () => [first, last].map((i) => Math.max(1, Math.min(bars, Math.round(Number(i.value)) || 1))).sort((a, b) => a - b);
    function chosen() {
      stage.roll.select(range());
    }
    after.infill = ([a, b]) => {
      first.value = a;
      last.value = b;
    };
    return h("section", { class: "sheet stack", "aria-label": "Go on" },
      h("div", { class: "row between" },
        h("div", {}, h("h3", {}, "Go on from the cursor"), h("p", { class: "soft small" }, "Bars after the cursor are dropped and written anew.")),
        h("button", { type: "button", "data-continue": "", onclick: goOn }, icon("pen"), "Continue from here")),
      h("hr", { class: "rule" }),
      h("div", { class: "row between" },
        h("div", {}, h("h3", {}, "Write some bars anew"), h("p", { class: "soft small" }, "Drag over them on the roll, or give their numbers.")),
        h("div", { class: "row bars" }, h("span", { class: "soft small" }, "Bars"), first, h("span", { class: "soft small" }, "to"), last,
          h("button", { type: "button", "data-infill": "", onclick: () => begin({ seed: result.file, infill: range().join(":") }) }, "Write anew"))));
  }

  function goOn() {
    const { piece, file } = result;
    const bar = stage.player.time > 0.05 ? stage.roll.bar(stage.player.time) : piece.bars.length;
    stage.player.pause();
    begin({ seed: file, kept: bar });
  }

  function whoWrote() {
    const { answer } = result;
    const box = h("section", { class: "sheet stack", "aria-label": "Who wrote this?" }, h("h3", {}, "Who wrote this?"));
    if (!answer || answer.error) box.append(h("p", { class: "soft" }, answer?.error?.message ?? "The piece could not be judged."));
    else {
      box.append(
        h("p", {}, answer.known ? `Fugato would take it for ${answer.name}.` : `Fugato would say: none of these; nearest ${answer.name}.`),
        ranking(answer, { most: 4, small: true }),
        h("p", { class: "small soft" }, answer.work ? `It recognises ${answer.work.composer}: ${answer.work.title}.` : "It recognises no work."));
    }
    return box;
  }

  function copying() {
    const { report } = result;
    const box = h("section", { class: "sheet stack", "aria-label": "Is it copied?" }, h("h3", {}, "Is it copied?"));
    const copy = report?.copy;
    if (!copy) {
      box.append(h("p", { class: "soft" }, report ? "This model has no guard against copies." : "It was stopped before this was looked at as a whole; while it was written, copies were avoided bar by bar."));
      return box;
    }
    const share = Math.min(1, copy.notes / Math.max(1, copy.limit));
    box.append(
      h("p", {}, copy.notes > copy.limit ? `Yes, in part: ${copy.notes} notes in a row stand in a training piece.` : copy.notes ? `No. The longest run it shares with one training piece is ${count(copy.notes, "note")}.` : "No. It shares no run of notes with any training piece."),
      h("div", { class: "ranking small" }, h("li", {},
        h("span", { class: "name" }, "longest run"), h("span", { class: "share" }, `${copy.notes} of ${copy.limit} let through`),
        h("span", { class: "bar", "aria-hidden": "true" }, h("i", { vars: { "--p": `${share * 100}%` } })))),
      copy.work && h("p", { class: "small soft" }, `Nearest: ${[copy.composer, copy.work].filter(Boolean).join(", ")}.`),
      h("p", { class: "small soft" }, `${count(report.copies_avoided ?? 0, "copy", "copies")} and ${count(report.loops_avoided ?? 0, "loop")} were thrown away on the way.`));
    return box;
  }

  function downloads() {
    const { report, file } = result;
    const buttons = report
      ? FILES.map(([form, name]) => h("a", { class: "button", href: report.files[form], download: `${report.name}.${form}` }, icon("down"), name))
      : [h("button", { type: "button", onclick: () => save(file.name, file) }, icon("down"), "MIDI"),
         ...FILES.slice(1).map(([form, name]) => h("button", { type: "button", onclick: async () => save(`stopped.${form}`, await api.convert(file, form)) }, icon("down"), name))];
    return h("div", { class: "row" }, buttons);
  }

  function judged() {
    const { report, job: name } = result;
    if (!report) return null;
    result.said ??= { verdict: null, comment: "" }; // stays with the piece while others are looked at
    const { said } = result;
    const trouble = h("div", {});
    const comment = h("input", { id: "comment", type: "text", maxlength: LONGEST_COMMENT, value: said.comment, placeholder: "Why? A few words, if you like", "aria-label": "Comment on the piece", onchange: () => {
      said.comment = comment.value.trim();
      if (said.verdict) tell();
    } });
    const buttons = [["keep", "Keep"], ["discard", "Discard"]].map(([verdict, text]) =>
      h("button", { type: "button", "data-verdict": verdict, "aria-pressed": String(said.verdict === verdict), onclick: () => {
        said.verdict = verdict;
        said.comment = comment.value.trim();
        tell();
      } }, text));
    async function tell() {
      const { verdict } = said;
      try {
        await api.feedback({ job: name, variation: report.variation, ...said });
        trouble.replaceChildren();
        buttons.forEach((b) => b.setAttribute("aria-pressed", String(b.dataset.verdict === verdict)));
        note.textContent = "Noted on this machine, with how the piece was made.";
        say("Noted");
      } catch (error) {
        trouble.replaceChildren(notice(`It could not be noted: ${error.message}`));
      }
    }
    const note = h("p", { class: "soft small" }, said.verdict ? "Noted on this machine, with how the piece was made." : "For whoever trains the next model; it stays on this machine.");
    return h("section", { class: "sheet stack tight", "aria-label": "Your verdict" },
      h("div", { class: "row between" }, h("div", {}, h("h3", {}, "Worth keeping?"), note), h("div", { class: "segments", role: "group", "aria-label": "Keep or discard" }, buttons)),
      comment, trouble);
  }

  function details() {
    const { report } = result;
    if (!report) return null;
    const { options } = report;
    const rows = [
      ["New", `${count(report.bars, "bar")}, ${count(report.notes, "note")}`],
      ["Ending", report.ending],
      ["Style", options.style], ["Key", options.key], ["Tempo", options.tempo && `${Math.round(options.tempo)} quarter notes a minute`],
      ["Temperature", options.temperature], ["Random seed", options.random_seed],
      ["Critic", report.critic_score !== null && report.critic_score !== undefined && `${report.critic}: ${report.critic_score.toFixed(2)}`],
    ].filter((row) => row[1] !== null && row[1] !== undefined && row[1] !== false && row[1] !== "");
    return h("div", { class: "stack tight" },
      [...(report.warnings ?? []), ...(report.problems ?? [])].map(remark),
      h("details", {}, h("summary", {}, "How it was made"), h("dl", { class: "facts-grid" }, rows.flatMap(([term, text]) => [h("dt", {}, term), h("dd", {}, String(text))]))));
  }

  return () => {
    closed = true;
    endStream();
    if (job) api.stopComposing(job).catch(() => {});
    stage?.close();
  };
}
