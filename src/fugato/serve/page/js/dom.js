// Small hands for the document: elements, icons, numbers as people write them. Text is always set as text, never as markup.

const SVG = "http://www.w3.org/2000/svg";

function fill(element, attributes, children) {
  for (const [key, value] of Object.entries(attributes ?? {})) {
    if (value === undefined || value === null || value === false) continue;
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (key === "vars") for (const [name, v] of Object.entries(value)) element.style.setProperty(name, v);
    else if (key in element && typeof element[key] === "boolean") element[key] = value;
    else element.setAttribute(key, value === true ? "" : value);
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

export const h = (tag, attributes, ...children) => fill(document.createElement(tag), attributes, children);
export const s = (tag, attributes, ...children) => fill(document.createElementNS(SVG, tag), attributes, children);

const ICONS = {
  play: "M7 4.5v15l12-7.5z",
  pause: "M7 5h3.5v14H7zM13.5 5H17v14h-3.5z",
  stop: "M6.5 6.5h11v11h-11z",
  down: "M11 4h2v9l3.5-3.5 1.4 1.4L12 16.8l-5.9-5.9 1.4-1.4L11 13zM5 18h14v2H5z",
  link: "M10.6 13.4a1 1 0 0 1 0-1.4l3-3a1 1 0 0 1 1.4 1.4l-3 3a1 1 0 0 1-1.4 0zM7.8 19A4.8 4.8 0 0 1 4.4 10.8l2.4-2.4 1.4 1.4-2.4 2.4a2.8 2.8 0 0 0 4 4l2.4-2.4 1.4 1.4-2.4 2.4A4.8 4.8 0 0 1 7.8 19zm9.4-3.4-1.4-1.4 2.4-2.4a2.8 2.8 0 0 0-4-4l-2.4 2.4-1.4-1.4 2.4-2.4a4.8 4.8 0 0 1 6.8 6.8z",
  mic: "M12 14.5a3 3 0 0 0 3-3v-5a3 3 0 0 0-6 0v5a3 3 0 0 0 3 3zm5.5-3a5.5 5.5 0 0 1-11 0h-2a7.5 7.5 0 0 0 6.5 7.4V22h2v-3.1a7.5 7.5 0 0 0 6.5-7.4z",
  dice: "M6 3h12a3 3 0 0 1 3 3v12a3 3 0 0 1-3 3H6a3 3 0 0 1-3-3V6a3 3 0 0 1 3-3zm2 3.5a1.5 1.5 0 1 0 0 3 1.5 1.5 0 0 0 0-3zm8 8a1.5 1.5 0 1 0 0 3 1.5 1.5 0 0 0 0-3zm-4-4a1.5 1.5 0 1 0 0 3 1.5 1.5 0 0 0 0-3z",
  moon: "M20 14.3A8.5 8.5 0 0 1 9.7 4a8.5 8.5 0 1 0 10.3 10.3z",
  sun: "M12 7.5a4.5 4.5 0 1 0 0 9 4.5 4.5 0 0 0 0-9zM11 1.5h2v3.5h-2zm0 17.5h2v3.5h-2zM1.5 11H5v2H1.5zM19 11h3.5v2H19zM4 5.4 5.4 4l2.5 2.5-1.4 1.4zm12.1 12.1 1.4-1.4L20 18.6 18.6 20zM16.1 6.5 18.6 4 20 5.4l-2.5 2.5zM4 18.6l2.5-2.5 1.4 1.4L5.4 20z",
  plus: "M11 5h2v6h6v2h-6v6h-2v-6H5v-2h6z",
  minus: "M5 11h14v2H5z",
  left: "M14.7 5.3 16 6.7 10.7 12l5.3 5.3-1.3 1.4L8 12z",
  right: "m9.3 5.3 6.7 6.7-6.7 6.7L8 17.3l5.3-5.3L8 6.7z",
  who: "M3 6h12v3H3zm5 5h13v3H8zm-3 5h10v3H5z",
  wave: "M3 10h2v4H3zm4-4h2v12H7zm4-3h2v18h-2zm4 5h2v8h-2zm4 2h2v4h-2z",
  pen: "M4 20l1-4.5L16.5 4a2.1 2.1 0 0 1 3 3L8.5 19z",
  live: "M4 5h16v14H4zm2 2v10h3v-4H8V7zm5 0v6h-1v4h4v-4h-1V7zm5 0v6h-1v4h3V7z",
  folder: "M3 6a2 2 0 0 1 2-2h4.6l2 2.5H19a2 2 0 0 1 2 2V18a2 2 0 0 1-2 2H5a2 2 0 0 1-2-2z",
  model: "M12 2.8 20.5 7.4 12 12 3.5 7.4zM3.5 11l2.3-1.2L12 13.2l6.2-3.4 2.3 1.2L12 15.6zm0 4.2L5.8 14l6.2 3.4 6.2-3.4 2.3 1.2L12 19.8z",
};

export const icon = (name) => s("svg", { viewBox: "0 0 24 24", "aria-hidden": "true", fill: "currentColor" }, s("path", { d: ICONS[name] }));

export function percent(p) {
  if (p > 0.99) return p > 0.9995 ? "100 %" : ">99 %";
  if (p < 0.01) return "<1 %";
  return `${Math.round(p * 100)} %`;
}

export function clock(seconds) {
  const whole = Math.max(0, Math.floor(seconds + 1e-6));
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
}

export const count = (n, one, many = `${one}s`) => `${n.toLocaleString("en")} ${n === 1 ? one : many}`;

export const fileName = (path) => String(path ?? "").split("/").pop();

export function colours(element = document.documentElement) {
  const style = getComputedStyle(element);
  const read = (name) => style.getPropertyValue(`--${name}`).trim();
  return Object.fromEntries(["paper", "sheet", "well", "ink", "soft", "line", "note", "accent", "wash"].map((n) => [n, read(n)]));
}

// A canvas that is sharp on this screen: its context in CSS pixels, with the size.
export function sharp(canvas) {
  const ratio = window.devicePixelRatio || 1;
  const { width, height } = canvas.getBoundingClientRect();
  const w = Math.max(1, Math.round(width * ratio));
  const t = Math.max(1, Math.round(height * ratio));
  if (canvas.width !== w || canvas.height !== t) Object.assign(canvas, { width: w, height: t });
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, height);
  return { context, width, height };
}

// Draw again whenever the element changes its size or the page its theme; returns what undoes it.
export function redrawn(element, draw) {
  const watch = new ResizeObserver(() => draw());
  watch.observe(element);
  document.addEventListener("themechange", draw);
  return () => {
    watch.disconnect();
    document.removeEventListener("themechange", draw);
  };
}

export function say(text) {
  document.getElementById("say").textContent = text;
}
