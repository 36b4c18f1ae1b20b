// Live: who might have written what is being played, while it is played: on a MIDI keyboard, on the page's own, or from a file.

import * as api from "../api.js";
import * as instrument from "../audio/instrument.js";
import { wake } from "../audio/context.js";
import { NotePlayer } from "../audio/note-player.js";
import { drop } from "../components/drop.js";
import { History } from "../components/history.js";
import { keys } from "../components/keys.js";
import { notice } from "../components/notice.js";
import { liveRanking } from "../components/ranking.js";
import { transport } from "../components/transport.js";
import { h, icon, percent, say } from "../dom.js";
import { SCORES } from "../files.js";
import { giveSeed } from "../handoff.js";
import { midiFile, tempoOf } from "../midi-file.js";

const EVERY = 0.3; // seconds between two messages while keys are played
const LEAST_NOTES = 8; // before "continue what I just played" makes sense

export function open(main) {
  const player = new NotePlayer();
  const history = new History();
  const name = h("h2", { class: "live-name" }, "Listening…");
  const facts = h("p", { class: "facts" }, "Play a little.");
  const work = h("p", { class: "work", hidden: true });
  const list = liveRanking();
  const speed = h("p", { class: "small soft", "data-speed": "" });
  const trouble = h("div", {});
  const board = keys({ onnote: noteOn, offnote: noteOff });
  const ports = h("select", { id: "port", onchange: () => usePort(ports.value) });
  const portField = h("div", { class: "field", hidden: true }, h("label", { for: "port" }, "Keyboard"), ports);
  const connect = h("button", { type: "button", class: "primary", "data-connect": "", onclick: connectMidi }, icon("live"), "Connect a MIDI keyboard");
  const zone = drop({ title: "Or play a file", accept: SCORES, onfiles: ([file]) => playFile(file) });
  zone.shrink();
  const example = h("select", { id: "live-example", onchange: async () => example.value && playFile(await api.exampleFile(example.value)) }, h("option", { value: "" }, "Choose a piece…"));
  const bar = transport(player);
  bar.hidden = true;
  const resume = h("button", { type: "button", disabled: true, "data-continue": "", onclick: goOn }, icon("pen"), "Continue what I just played");
  const again = h("button", { type: "button", onclick: reset }, "Begin anew");

  main.append(
    h("header", { class: "head" }, h("h1", {}, "Live"), h("p", {}, "Play, and watch Fugato make up its mind.")),
    h("section", { class: "split" },
      h("div", { class: "stack" },
        h("div", { class: "verdict", "aria-live": "off" }, name, facts, work), list, speed,
        h("div", { class: "row" }, resume, again)),
      h("div", { class: "stack" },
        h("section", { class: "stage", "aria-label": "What is being played" }, history.canvas, board, bar),
        h("section", { class: "sheet stack", "aria-label": "Where music comes from" },
          h("div", { class: "row" }, connect, portField), trouble,
          h("div", { class: "field" }, h("label", { for: "live-example" }, "Or listen to a piece that comes along"), example)),
        zone)));
  api.examples().then((all) => example.append(...all.filter((e) => e.kind === "score").map((e) => h("option", { value: e.name }, `${e.composer}: ${e.title}`)))).catch(() => {});

  // -- what was played ---------------------------------------------------------------------------------------------

  let played = []; // [start, end or null, pitch, velocity]; seconds from the first note
  let zero = null; // clock of the page at the first note
  let sent = 0; // finished notes that were sent
  let piece = null; // what plays from a file
  let file = null;
  let bars = 0; // of the file, that were sent
  let socket = null;
  let input = null;
  const asked = []; // when the messages went off that are not answered yet

  function send(notes, time) {
    if (!notes.length) return;
    socket ??= api.listen({ answer, closed: () => { socket = null; } });
    asked.push({ at: performance.now(), time });
    socket.send({ notes });
  }

  function anew() { // of the server's memory; it answers this message too
    if (!socket) return;
    asked.push({ skip: true });
    socket.send({ reset: true });
  }

  function answer(told) {
    const question = asked.shift();
    if (question?.skip) return;
    if (told.detail || told.error) return trouble.replaceChildren(notice(told.detail ?? told.error.message));
    if (!told.ranking?.length) return;
    const [first] = told.ranking;
    name.textContent = told.known ? first.name : "None of these";
    facts.textContent = told.known ? percent(first.probability) : `Nearest: ${first.name}, ${percent(first.probability)}`;
    work.hidden = !told.work;
    if (told.work) work.replaceChildren(h("b", {}, told.work.title), `${told.work.composer}; recognised while it sounds.`);
    list.show(told);
    if (question) {
      speed.textContent = `${told.notes} notes · answered in ${Math.round(performance.now() - question.at)} ms`;
      speed.dataset.speed = Math.round(performance.now() - question.at);
      history.answer(question.time, told.ranking);
    }
    resume.disabled = told.notes < LEAST_NOTES;
  }

  function reset() {
    player.pause();
    player.seek(0);
    socket?.close();
    socket = null;
    asked.length = 0;
    played = [];
    zero = null;
    sent = 0;
    bars = 0;
    piece = null;
    file = null;
    bar.hidden = true;
    example.value = "";
    history.clear();
    board.clear();
    name.textContent = "Listening…";
    facts.textContent = "Play a little.";
    work.hidden = true;
    list.replaceChildren();
    speed.textContent = "";
    resume.disabled = true;
  }

  // -- keys --------------------------------------------------------------------------------------------------------

  const now = () => (zero === null ? 0 : (performance.now() - zero) / 1000);

  function noteOn(pitch, velocity) {
    if (piece) reset();
    wake();
    instrument.prepare();
    zero ??= performance.now();
    instrument.current().on(0, pitch, velocity);
    board.show(pitch, true);
    const held = played.find((n) => n[2] === pitch && n[1] === null);
    if (held) held[1] = now();
    played.push([now(), null, pitch, velocity]);
  }

  function noteOff(pitch) {
    instrument.current().off(0, pitch);
    board.show(pitch, false);
    const note = played.find((n) => n[2] === pitch && n[1] === null);
    if (note) note[1] = Math.max(note[0] + 0.02, now());
  }

  const beat = setInterval(() => {
    if (piece || !played.length) return;
    const open = played.some((n) => n[1] === null);
    const fresh = played.filter((n) => n[1] !== null && !n.sent);
    const last = Math.max(...played.map((n) => n[1] ?? now()));
    history.play(played, open ? now() : last);
    if (!fresh.length) return;
    fresh.forEach((n) => { n.sent = true; });
    send(fresh.map(([start, end, pitch, velocity]) => [pitch, start, end, velocity]), last);
  }, EVERY * 1000);

  // -- a MIDI port -------------------------------------------------------------------------------------------------

  let midi = null;

  async function connectMidi() {
    wake();
    instrument.prepare();
    trouble.replaceChildren();
    if (!navigator.requestMIDIAccess) {
      return trouble.replaceChildren(notice("This browser knows no MIDI, or the page came over plain HTTP from another machine. Chrome, Edge and Firefox on this machine can; the keys above work everywhere."));
    }
    try {
      midi = await navigator.requestMIDIAccess();
    } catch {
      return trouble.replaceChildren(notice("MIDI was not allowed. Your browser’s settings for this page can change that."));
    }
    midi.onstatechange = listPorts;
    listPorts();
  }

  function listPorts() {
    const inputs = [...midi.inputs.values()].filter((port) => port.state !== "disconnected");
    ports.replaceChildren(...inputs.map((port) => h("option", { value: port.id }, port.name ?? port.id)));
    portField.hidden = !inputs.length;
    if (!inputs.length) return trouble.replaceChildren(notice("No keyboard is connected. Plug one in: it will be found."));
    trouble.replaceChildren();
    usePort(inputs.some((port) => port.id === input?.id) ? input.id : inputs[0].id);
  }

  function usePort(id) {
    if (input) input.onmidimessage = null;
    input = midi.inputs.get(id);
    if (!input) return;
    ports.value = id;
    input.onmidimessage = ({ data: [status, pitch, velocity] }) => {
      const kind = status & 0xf0;
      if (kind === 0x90 && velocity > 0) noteOn(pitch, velocity);
      else if (kind === 0x80 || kind === 0x90) noteOff(pitch);
    };
    say(`Listening to ${input.name}`);
  }

  // -- a file ------------------------------------------------------------------------------------------------------

  async function playFile(next) {
    const chosen = next.example?.name ?? "";
    reset();
    example.value = chosen;
    wake();
    trouble.replaceChildren();
    try {
      const read = await api.notes(next);
      piece = read;
      file = next;
    } catch (error) {
      return trouble.replaceChildren(notice(error.message, next.name));
    }
    name.textContent = "Listening…";
    facts.textContent = next.example ? next.example.title : next.name;
    player.load(piece);
    bar.hidden = false;
    player.play();
  }

  let before = 0;
  player.on("time", () => {
    if (!piece) return;
    const time = player.time;
    if (time < before - 0.05) { // somebody went back: it listens anew
      anew();
      bars = 0;
    }
    before = time;
    history.play(piece.notes.map(([start, duration, pitch]) => [start, start + duration, pitch]), time, piece.seconds);
    board.clear();
    if (player.playing) for (const [start, duration, pitch] of piece.notes) if (start <= time && start + duration > time) board.show(pitch, true);
    const starts = piece.bars.length ? piece.bars : [0];
    let upto = bars;
    while (upto < starts.length && (starts[upto + 1] ?? piece.seconds) <= time + 0.02) upto++;
    if (upto === bars) return;
    const [from, to] = [starts[bars], starts[upto] ?? Infinity];
    bars = upto;
    send(piece.notes.filter(([start]) => start >= from - 1e-6 && start < to - 1e-6).map(([start, duration, pitch, velocity]) => [pitch, start, start + duration, velocity]), time);
  });

  // -- to Compose --------------------------------------------------------------------------------------------------

  function goOn() {
    if (piece) {
      player.pause();
      giveSeed(file, Math.max(1, bars));
    } else {
      const notes = played.map(([start, end, pitch, velocity]) => [start, (end ?? now()) - start, pitch, velocity]);
      const tempo = tempoOf(notes.map((n) => n[0]));
      const quarters = (seconds) => Math.round((seconds * tempo) / 15) / 4; // to sixteenths
      giveSeed(midiFile({ notes: notes.map(([start, length, pitch, velocity]) => [quarters(start), Math.max(0.25, quarters(length)), pitch, velocity, 0]), tempo, parts: [{ program: 0 }], name: "played.mid" }));
    }
    location.hash = "#/compose";
  }

  return () => {
    clearInterval(beat);
    player.pause();
    socket?.close();
    if (input) input.onmidimessage = null;
    if (midi) midi.onstatechange = null;
    history.close();
    bar.close();
  };
}
