// A keyboard on the page: shows what is pressed, and can be played with the mouse, a finger, or the letters A to L.

import { h } from "../dom.js";

const LOW = 36;
const HIGH = 96;
const BLACK = new Set([1, 3, 6, 8, 10]);
const LETTERS = "awsedftgyhujkolp"; // from middle C upwards

export function keys({ onnote, offnote }) {
  const whites = [];
  const all = new Map();
  for (let pitch = LOW; pitch <= HIGH; pitch++) {
    const key = h("i", { "data-pitch": pitch, class: BLACK.has(pitch % 12) ? "black" : "" });
    all.set(pitch, key);
    if (!BLACK.has(pitch % 12)) whites.push(pitch);
  }
  const box = h("div", { class: "keys", tabindex: 0, role: "group", "aria-label": "Keyboard; letters A to L play from middle C" });
  for (const [pitch, key] of all) {
    const before = whites.filter((w) => w < pitch).length;
    key.style.setProperty("--at", `${(before / whites.length) * 100}%`);
    key.style.setProperty("--width", `${100 / whites.length}%`);
    box.append(key);
  }
  let held = null;
  const release = () => {
    if (held !== null) offnote(held);
    held = null;
  };
  const press = (event) => {
    const pitch = Number(event.target.dataset.pitch);
    if (!pitch || pitch === held) return;
    release();
    held = pitch;
    onnote(pitch, 90);
  };
  box.addEventListener("pointerdown", (event) => {
    event.target.releasePointerCapture?.(event.pointerId);
    press(event);
  });
  box.addEventListener("pointerover", (event) => event.buttons && event.pointerType === "mouse" && press(event));
  box.addEventListener("pointerup", release);
  box.addEventListener("pointerleave", release);
  const letter = (event) => {
    const index = LETTERS.indexOf(event.key.toLowerCase());
    return index < 0 || event.ctrlKey || event.metaKey || event.altKey ? null : 60 + index;
  };
  box.addEventListener("keydown", (event) => {
    const pitch = letter(event);
    if (pitch === null || event.repeat) return;
    event.preventDefault();
    onnote(pitch, 90);
  });
  box.addEventListener("keyup", (event) => {
    const pitch = letter(event);
    if (pitch !== null) offnote(pitch);
  });
  box.show = (pitch, on) => all.get(pitch)?.classList.toggle("on", on);
  box.clear = () => all.forEach((key) => key.classList.remove("on"));
  return box;
}
