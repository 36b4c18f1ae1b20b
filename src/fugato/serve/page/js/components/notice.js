// Sentences: what went wrong with which file, and what the reader of a file had to mend; and waiting, with or without a known end.

import { h } from "../dom.js";

export const notice = (text, file = null) => h("p", { class: "notice", role: "alert" }, file && h("b", {}, file), h("span", {}, text));

export const remark = (text) => h("p", { class: "notice calm" }, h("span", {}, text.charAt(0).toUpperCase() + text.slice(1)));

export function wait(text) {
  const words = h("span", {}, text);
  const fill = h("div", { class: "fill" });
  const track = h("div", { class: "track", role: "progressbar", "aria-label": text }, fill);
  const box = h("div", { class: "wait open" }, words, track);
  box.at = (share, now) => {
    box.classList.toggle("open", share === null);
    if (share === null) track.removeAttribute("aria-valuenow");
    else {
      fill.style.setProperty("--at", `${share * 100}%`);
      track.setAttribute("aria-valuenow", Math.round(share * 100));
    }
    if (now) words.textContent = now;
  };
  return box;
}
