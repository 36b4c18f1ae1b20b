// Who wrote this? Files in; for each an answer, its picture, its sound.

import * as api from "../api.js";
import { drop, examples } from "../components/drop.js";
import { notice, remark, wait } from "../components/notice.js";
import { ranking } from "../components/ranking.js";
import { Stage, scoreOf, telling } from "../components/stage.js";
import { clock, count, fileName, h, icon, percent, say } from "../dom.js";
import { SCORES, csv, save, stem } from "../files.js";
import { giveSeed } from "../handoff.js";

const AT_ONCE = 4; // files a request: answers come while others wait

export function open(main, query) {
  const results = []; // { file, answer, example }
  let current = null;
  let stage = null;
  const stop = new AbortController();

  const zone = drop({ title: "Drop music here", formats: "MIDI, MusicXML, MXL, kern or ABC; several at once if you like", accept: SCORES, onfiles: ask });
  const list = h("ul", { class: "files", "aria-label": "Answers" });
  const place = h("div", { class: "stack" });
  const tried = examples({ kind: "score", picked: query.get("example"), onpick: (e) => pick(e.name, true) });
  main.append(
    h("header", { class: "head" }, h("h1", {}, "Who wrote this?"), h("p", {}, "Drop a piece of music. Fugato reads its notes and says who may have written it, which bars gave the composer away, and when it knows nobody who writes like that.")),
    place, list, zone, tried);

  if (query.get("example")) pick(query.get("example"), false);

  async function pick(name, remember) {
    if (remember) history.replaceState(null, "", `#/who?example=${encodeURIComponent(name)}`);
    tried.mark(name);
    place.replaceChildren(wait("Fetching the piece…"));
    try {
      const file = await api.exampleFile(name);
      await ask([file]);
    } catch (error) {
      place.replaceChildren(notice(error.message, name));
    }
  }

  async function ask(files) {
    zone.shrink();
    main.classList.add("answered");
    scrollTo({ top: 0, behavior: "smooth" });
    if (!files[0].example) history.replaceState(null, "", "#/who");
    const waiting = wait(files.length > 1 ? `0 of ${files.length} pieces read` : `Reading ${files[0].name}…`);
    if (files.length > 1 || !current) place.prepend(waiting);
    if (stage) stage.player.pause();
    let first = null;
    try {
      for (let i = 0; i < files.length; i += AT_ONCE) {
        const some = files.slice(i, i + AT_ONCE);
        const answers = await api.identify(some, { explain: true }, stop.signal).catch((error) => {
          if (error.name === "AbortError") throw error;
          return some.map((file) => ({ input: file.name, error: { kind: error.kind, message: error.message } }));
        });
        answers.forEach((answer, j) => {
          const result = { file: some[j], answer, example: some[j].example };
          results.unshift(result);
          first ??= result;
        });
        waiting.at((i + some.length) / files.length, `${i + some.length} of ${files.length} pieces read`);
        drawList();
        if (i === 0) show(first, waiting);
      }
    } catch (error) {
      if (error.name !== "AbortError") place.prepend(notice(error.message));
      return;
    } finally {
      waiting.remove();
    }
    drawList();
  }

  function drawList() {
    list.hidden = results.length < 2;
    list.replaceChildren(...results.map((result) => {
      const { answer, file, example } = result;
      const right = answer.error ? "—" : percent(answer.probability);
      const name = answer.error ? "No answer" : answer.known ? answer.name : "None of these";
      return h("li", {}, h("button", { type: "button", "aria-pressed": String(result === current), onclick: () => { show(result); drawList(); } },
        h("span", {}, name), h("span", { class: "soft" }, right), h("span", { class: "what" }, example?.title ?? file.name)));
    }));
  }

  function show(result, waiting = null) {
    current = result;
    stage?.close();
    stage = null;
    const { answer, file } = result;
    if (answer.error) {
      place.replaceChildren(...[waiting, notice(answer.error.message, file.name)].filter(Boolean));
      say(answer.error.message);
      return;
    }
    stage = new Stage();
    place.replaceChildren(...[waiting, h("section", { class: "split", "aria-label": "Answer" }, side(result), h("div", { class: "stack" }, stage.element, evidence(answer)))].filter(Boolean));
    say(answer.known ? `${answer.name}, ${percent(answer.probability)}` : `None of these; nearest ${answer.name}`);
    picture(stage, result);
  }

  async function picture(on, { file, answer }) {
    try {
      const piece = await api.notes(file, stop.signal);
      if (on !== stage) return;
      const rival = answer.ranking[1]?.name;
      const marks = telling(answer);
      on.set(piece, { xml: scoreOf(file), marks, legend: [
        marks.some((m) => m.kind === "tell") && ["tell", `bars that spoke most for ${answer.name}`],
        marks.some((m) => m.kind === "rival") && ["rival", `for ${rival}`],
      ].filter(Boolean) });
    } catch (error) {
      if (error.name !== "AbortError") on.element.append(notice(error.message, file.name));
    }
  }

  function side(result) {
    const { answer, file, example } = result;
    const { music, period, repertoire } = answer;
    const facts = [music.notes && count(music.notes, "note"), music.bars && count(music.bars, "bar"), music.seconds && clock(music.seconds)].filter(Boolean);
    return h("div", { class: "stack" },
      h("div", { class: "verdict" },
        h("p", { class: "file" }, example ? example.title : fileName(answer.input ?? file.name)),
        answer.known ? h("h2", {}, answer.name) : [h("h2", {}, "None of these"), h("p", { class: "facts" }, `Nearest: ${answer.name}`)],
        h("p", { class: "facts" }, [period?.name, repertoire?.name].filter(Boolean).join(" · ")),
        h("p", { class: "small soft" }, facts.join(" · ")),
        answer.work && work(answer.work)),
      ranking(answer),
      answer.warnings.length > 0 && h("div", { class: "stack tight" }, answer.warnings.map(remark)),
      h("div", { class: "row" },
        example && h("button", { type: "button", onclick: (event) => copyLink(event.currentTarget) }, icon("link"), "Copy link"),
        h("button", { type: "button", onclick: () => save(`${stem(file.name)}.json`, `${JSON.stringify(answer, null, 2)}\n`) }, icon("down"), "JSON"),
        h("button", { type: "button", onclick: () => save(`${stem(file.name)}.csv`, table([answer]), "text/csv") }, icon("down"), "CSV"),
        h("button", { type: "button", onclick: () => { giveSeed(file); location.hash = "#/compose"; } }, icon("pen"), "Go on from it")));
  }

  async function copyLink(button) {
    await navigator.clipboard.writeText(location.href).catch(() => {});
    button.lastChild.replaceWith("Copied");
    say("Link copied");
  }

  return () => {
    stop.abort();
    stage?.close();
  };
}

function work(found) {
  const where = [found.composer, found.where].filter(Boolean).join(", ");
  return h("p", { class: "work" }, h("b", {}, found.title), `${where}${where ? "; " : ""}${percent(found.match)} of it found again. The ranking does not use this.`);
}

function evidence(answer) {
  const patterns = answer.evidence?.patterns ?? [];
  if (!patterns.length) return null;
  return h("section", { class: "stack tight" }, h("h3", {}, `What spoke for ${answer.name}`),
    h("ul", { class: "evidence" }, patterns.slice(0, 6).map((p) => h("li", {}, h("span", {}, p.text), h("span", { class: "soft" }, p.for && p.for !== answer.name ? `for ${p.for}` : "")))));
}

// Answers as a table: a line each, first three names.
export function table(answers) {
  const head = ["input", "name", "probability", "known", "second", "second probability", "third", "third probability", "period", "repertoire", "work", "notes", "bars", "seconds", "error"];
  return csv([head, ...answers.map((a) => {
    if (a.error) return [a.input, ...new Array(13).fill(""), a.error.message];
    const at = (i) => [a.ranking[i]?.name, a.ranking[i]?.probability];
    return [a.input, a.name, a.probability, a.known, ...at(1), ...at(2), a.period?.name, a.repertoire?.name, a.work && `${a.work.composer}: ${a.work.title}`, a.music.notes, a.music.bars, a.music.seconds, ""];
  })]);
}
