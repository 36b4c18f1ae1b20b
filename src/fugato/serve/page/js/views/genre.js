// What genre is this? A recording from a file or the microphone: ranking, pictures, sound, all along one time.

import * as api from "../api.js";
import { record } from "../audio/recorder.js";
import { RecordingPlayer } from "../audio/recording-player.js";
import { drop, examples, wave } from "../components/drop.js";
import { lanes } from "../components/lanes.js";
import { notice, remark, wait } from "../components/notice.js";
import { ranking } from "../components/ranking.js";
import { transport } from "../components/transport.js";
import { clock, h, icon, percent, say } from "../dom.js";
import { SOUNDS, csv, save, stem } from "../files.js";

export function open(main, query) {
  const player = new RecordingPlayer();
  const results = [];
  const stop = new AbortController();
  let current = null;
  let pictures = null;
  let recording = null;
  let asked = 0;

  const zone = drop({ title: "Drop a recording here", formats: "WAV, FLAC, OGG, MP3 or AIFF", accept: SOUNDS, picture: wave, onfiles: ask });
  const microphone = h("button", { class: "large", type: "button", onclick: () => (recording ? endRecording() : beginRecording()) }, icon("mic"), h("span", {}, "Record"));
  const level = h("i", {});
  const elapsed = h("time", {}, "0:00");
  const meter = h("div", { class: "meter sheet", hidden: true }, h("span", {}, "Recording"), h("div", { class: "level", "aria-hidden": "true" }, level), elapsed);
  zone.querySelector(".row").insertBefore(microphone, zone.querySelector(".row .small"));
  const list = h("ul", { class: "files", "aria-label": "Answers" });
  const place = h("div", { class: "stack" });
  const tried = examples({ kind: "recording", picked: query.get("example"), onpick: (e) => pick(e.name, true) });
  main.append(
    h("header", { class: "head" }, h("h1", {}, "What genre is this?"), h("p", {}, "Drop a recording, or hold your device to the loudspeaker. Fugato listens along and says which genre it hears when.")),
    place, list, meter, zone, tried);
  if (query.get("example")) pick(query.get("example"), false);

  async function pick(name, remember) {
    if (remember) history.replaceState(null, "", `#/genre?example=${encodeURIComponent(name)}`);
    tried.mark(name);
    place.replaceChildren(wait("The server plays the piece to make a recording of it…"));
    try {
      await ask([await api.exampleFile(name)]);
    } catch (error) {
      place.replaceChildren(notice(error.message, name));
    }
  }

  async function beginRecording() {
    try {
      recording = await record((loud, seconds) => {
        level.style.setProperty("--at", `${Math.min(100, loud * 130)}%`);
        elapsed.textContent = clock(seconds);
      });
    } catch (error) {
      const refused = error.name === "NotAllowedError" ? "The microphone was not allowed. Your browser's settings for this page can change that." : error.message;
      place.prepend(notice(refused, "Microphone"));
      return;
    }
    meter.hidden = false;
    microphone.replaceChildren(icon("stop"), h("span", {}, "Stop and ask"));
    say("Recording");
  }

  function endRecording() {
    const file = recording.stop();
    recording = null;
    meter.hidden = true;
    microphone.replaceChildren(icon("mic"), h("span", {}, "Record"));
    ask([file]);
  }

  async function ask(files) {
    zone.shrink();
    main.classList.add("answered");
    scrollTo({ top: 0, behavior: "smooth" });
    player.pause();
    const mine = ++asked;
    const waiting = wait(`Listening to ${files[0].name}…`);
    place.replaceChildren(waiting);
    for (const [i, file] of files.entries()) {
      if (files.length > 1) waiting.at(i / files.length, `Listening to ${file.name}, ${i + 1} of ${files.length}…`);
      let result;
      try {
        const [[answer], sound] = await Promise.all([api.genre([file], {}, stop.signal), api.sound(file, stop.signal).catch(() => null)]);
        result = { file, answer, sound };
      } catch (error) {
        if (error.name === "AbortError") return;
        result = { file, answer: { input: file.name, error: { kind: error.kind, message: error.message } } };
      }
      results.unshift(result);
      if (i === 0 && mine === asked) show(result);
      drawList();
    }
  }

  function drawList() {
    list.hidden = results.length < 2;
    list.replaceChildren(...results.map((result) => {
      const { answer, file } = result;
      return h("li", {}, h("button", { type: "button", "aria-pressed": String(result === current), onclick: () => { show(result); drawList(); } },
        h("span", {}, answer.error ? "No answer" : answer.known ? answer.name : "None of these"),
        h("span", { class: "soft" }, answer.error ? "—" : percent(answer.probability)),
        h("span", { class: "what" }, file.example?.title ?? file.name)));
    }));
  }

  function show(result) {
    const { file, answer, sound } = result;
    current = result;
    pictures?.close();
    pictures = null;
    player.pause();
    if (answer.error) {
      place.replaceChildren(notice(answer.error.message, file.name));
      return say(answer.error.message);
    }
    player.load(file, sound?.seconds ?? answer.music.seconds ?? 0);
    pictures = sound && lanes(player, sound, answer.timeline ?? []);
    const stage = h("section", { class: "stage", "aria-label": "The recording" }, pictures, transport(player, { voice: false }));
    player.addEventListener("unplayable", () => stage.append(notice("This browser cannot play this kind of file; the answer stands.", file.name)), { once: true });
    place.replaceChildren(h("section", { class: "split", "aria-label": "Answer" },
      h("div", { class: "stack" },
        h("div", { class: "verdict" },
          h("p", { class: "file" }, file.example?.title ?? file.name),
          answer.known ? h("h2", {}, answer.name) : [h("h2", {}, "None of these"), h("p", { class: "facts" }, `Nearest: ${answer.name}`)],
          h("p", { class: "small soft" }, clock(answer.music.seconds ?? sound?.seconds ?? 0))),
        ranking(answer),
        answer.warnings.length > 0 && h("div", { class: "stack tight" }, answer.warnings.map(remark)),
        h("div", { class: "row" },
          h("button", { type: "button", onclick: () => save(`${stem(file.name)}.json`, `${JSON.stringify(answer, null, 2)}\n`) }, icon("down"), "JSON"),
          h("button", { type: "button", onclick: () => save(`${stem(file.name)}.csv`, table(answer), "text/csv") }, icon("down"), "CSV"))),
      stage));
    say(answer.known ? `${answer.name}, ${percent(answer.probability)}` : `None of these; nearest ${answer.name}`);
  }

  return () => {
    stop.abort();
    recording?.stop();
    player.pause();
    pictures?.close();
  };
}

// The timeline as a table: a line a stretch, a column a genre.
function table(answer) {
  const names = answer.ranking.map((g) => g.name);
  const line = (from, to, ranking) => [from, to, ...names.map((n) => ranking.find((g) => g.name === n)?.probability ?? "")];
  const whole = line(0, answer.music.seconds ?? "", answer.ranking);
  return csv([["start", "end", ...names], whole, ...(answer.timeline ?? []).map((s) => line(s.start, s.end, s.ranking))]);
}
