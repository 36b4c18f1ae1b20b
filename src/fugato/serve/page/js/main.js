// The start of the page: navigation, theme, and one view at a time by the address (#/who, #/genre, …).

import { h, icon, say } from "./dom.js";
import { notice } from "./components/notice.js";

const VIEWS = [
  { path: "who", long: "Who wrote this?", short: "Who?", icon: "who", load: () => import("./views/who.js") },
  { path: "genre", long: "Genre", short: "Genre", icon: "wave", load: () => import("./views/genre.js") },
  { path: "compose", long: "Compose", short: "Compose", icon: "pen", load: () => import("./views/compose.js") },
  { path: "live", long: "Live", short: "Live", icon: "live", load: () => import("./views/live.js") },
  { path: "collection", long: "Collection", short: "Folder", icon: "folder", load: () => import("./views/collection.js") },
  { path: "models", long: "Models", short: "Models", icon: "model", load: () => import("./views/models.js") },
];

const main = document.getElementById("view");
let close = null;
let visit = 0;

const nav = document.querySelector(".tabs");
nav.append(...VIEWS.map((view) =>
  h("a", { href: `#/${view.path}`, "data-view": view.path }, icon(view.icon), h("span", { class: "long" }, view.long), h("span", { class: "short" }, view.short))));

function address() {
  const [path, query = ""] = location.hash.replace(/^#\/?/, "").split("?");
  return { path: path || "who", query: new URLSearchParams(query) };
}

async function go() {
  const { path, query } = address();
  const view = VIEWS.find((v) => v.path === path) ?? VIEWS[0];
  const mine = ++visit;
  close?.();
  close = null;
  nav.querySelectorAll("a").forEach((a) => (a.dataset.view === view.path ? a.setAttribute("aria-current", "page") : a.removeAttribute("aria-current")));
  document.title = `${view.long} · Fugato`;
  try {
    const { open } = await view.load();
    if (mine !== visit) return;
    main.replaceChildren();
    main.classList.remove("answered");
    main.dataset.view = view.path;
    close = open(main, query) ?? null;
  } catch (error) {
    main.replaceChildren(notice(`This view could not be opened: ${error.message}`));
  }
  if (mine > 1) {
    scrollTo(0, 0);
    main.focus({ preventScroll: true });
    say(view.long);
  }
}

const dark = matchMedia("(prefers-color-scheme: dark)");
const isDark = () => (document.documentElement.dataset.theme ?? (dark.matches ? "dark" : "light")) === "dark";
const theme = document.getElementById("theme");

function themed() {
  theme.replaceChildren(icon(isDark() ? "sun" : "moon"));
  theme.setAttribute("aria-label", isDark() ? "Light theme" : "Dark theme");
  document.dispatchEvent(new Event("themechange"));
}

theme.addEventListener("click", () => {
  const next = isDark() ? "light" : "dark";
  document.documentElement.dataset.theme = next;
  try {
    localStorage.setItem("theme", next);
  } catch {
    // then it lasts as long as the page
  }
  themed();
});
dark.addEventListener("change", themed);
document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault(); // #view would be taken for the address of a view
  main.focus();
});
document.addEventListener("dragover", (event) => event.preventDefault()); // a file that misses the zone must not replace the page
document.addEventListener("drop", (event) => event.preventDefault());
addEventListener("hashchange", go);
themed();
go();
