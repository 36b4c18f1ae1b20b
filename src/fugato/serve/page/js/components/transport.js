// Play, pause, seek; and what the instrument is called.

import { clock, h, icon } from "../dom.js";
import * as instrument from "../audio/instrument.js";

export function transport(player, { voice = true } = {}) {
  const button = h("button", { class: "primary round play", type: "button", "data-play": "" });
  const seek = h("input", { type: "range", class: "seek", min: 0, max: 1, step: 0.01, value: 0, "aria-label": "Place in the piece" });
  const now = h("time", {});
  const sound = voice && h("span", { class: "voice" }, instrument.status || "");
  const box = h("div", { class: "transport", role: "group", "aria-label": "Player" }, button, seek, now, sound);

  button.addEventListener("click", () => player.toggle());
  seek.addEventListener("input", () => player.seek(Number(seek.value)));
  seek.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -2, ArrowRight: 2, PageDown: -10, PageUp: 10 }[event.key];
    if (step === undefined) return;
    event.preventDefault();
    player.seek(player.time + step);
  });

  const place = () => {
    seek.value = player.time;
    seek.style.setProperty("--at", `${player.duration ? (player.time / player.duration) * 100 : 0}%`);
    seek.setAttribute("aria-valuetext", `${clock(player.time)} of ${clock(player.duration)}`);
    now.textContent = `${clock(player.time)} / ${clock(player.duration)}`;
  };
  const state = () => {
    seek.max = player.duration || 1;
    button.replaceChildren(icon(player.playing ? "pause" : "play"));
    button.setAttribute("aria-label", player.playing ? "Pause" : "Play");
    button.disabled = !player.duration;
    place();
  };
  const named = () => { if (sound) sound.textContent = instrument.status; };
  const off = [player.on("time", place), player.on("state", state)];
  instrument.events.addEventListener("change", named);
  box.close = () => {
    off.forEach((undo) => undo());
    instrument.events.removeEventListener("change", named);
  };
  state();
  return box;
}
