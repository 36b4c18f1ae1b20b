// Models: what each knows, what it learnt from, and how good it is, with intervals and the way it was measured.

import * as api from "../api.js";
import { confusion } from "../components/confusion.js";
import { notice, wait } from "../components/notice.js";
import { h, percent } from "../dom.js";

const TASKS = { composer: "names composers", genre: "names genres", compose: "writes music" };
const MOST_LABELS = 16;

export function open(main) {
  const cards = h("div", { class: "cards" }, wait("Reading the cards…"));
  main.append(
    h("header", { class: "head" }, h("h1", {}, "Models"), h("p", {}, "What each model knows, what it learnt from, and how good it is on music it had never seen. Bars are 95 % intervals.")),
    cards);
  api.models()
    .then((all) => cards.replaceChildren(...all.map(card)))
    .catch((error) => cards.replaceChildren(notice(error.message)));
}

function card(model) {
  const title = h("div", { class: "row between" }, h("h2", {}, model.name), h("ul", { class: "tags" },
    [model.recipe, model.version && `version ${model.version}`, model.shipped ? "comes with Fugato" : "your own"].filter(Boolean).map((t) => h("li", {}, t))));
  if (model.error) return h("article", { class: "card" }, title, notice(model.error.message, model.name));
  const labels = Object.entries(model.labels ?? {}).sort((a, b) => b[1] - a[1]);
  const figures = model.figures ?? [];
  return h("article", { class: "card", "aria-label": `Model ${model.name}` }, title,
    h("div", { class: "columns" },
      figures.length > 0 && h("section", { class: "stack tight" }, h("h3", {}, "How good it is"), h("ul", { class: "figures" }, figures.slice(0, 8).map(figure)),
        figures.length > 8 && h("details", {}, h("summary", {}, `${figures.length - 8} more figures`), h("ul", { class: "figures" }, figures.slice(8).map(figure)))),
      h("section", { class: "stack tight" }, h("h3", {}, "What it is"),
        h("dl", { class: "facts-grid" }, facts(model, labels).flatMap(([term, text]) => [h("dt", {}, term), h("dd", {}, text)])),
        model.limits?.length > 0 && [h("h3", {}, "What it cannot do"), h("ul", { class: "stack tight small" }, model.limits.map((text) => h("li", {}, text)))])),
    labels.length > 0 && known(labels),
    "figures" in (model.files ?? {}) && heldOut(model.name),
    corpora(model.corpora ?? []));
}

// The confusion matrix, once somebody looks so far.
function heldOut(name) {
  const place = h("div", {}, wait("Who was taken for whom…"));
  const watch = new IntersectionObserver((seen) => {
    if (!seen.some((entry) => entry.isIntersecting)) return;
    watch.disconnect();
    api.figures(name)
      .then((measured) => (measured.confusion && measured.per_class ? place.replaceChildren(confusion(measured)) : place.remove()))
      .catch((error) => place.replaceChildren(notice(error.message, name)));
  }, { rootMargin: "400px" });
  watch.observe(place);
  return place;
}

function facts(model, labels) {
  const bytes = Object.values(model.files ?? {}).reduce((sum, f) => sum + (f.bytes ?? 0), 0);
  const { calibration = {} } = model;
  return [
    ["Task", TASKS[model.task] ?? model.task],
    labels.length && ["Knows", `${labels.length} ${model.task === "genre" ? "genres" : "composers"}`],
    ["Reads", model.representation?.name],
    bytes && ["Size", `${(bytes / 1e6).toFixed(1)} MB`],
    calibration.ece !== undefined && ["Calibration", `probabilities are off by ${(calibration.ece * 100).toFixed(1)} % on average`],
    calibration.known_threshold !== undefined && ["“None of these”", `below ${percent(calibration.known_threshold)}`],
    ["Licence", model.licence],
  ].filter((row) => row && row[1]);
}

const UNIT = /accura|f1|recognised|recall|precision|auc|false|top/i;

function figure({ name, value, interval, protocol, n }) {
  const isShare = typeof value === "number" && value >= 0 && value <= 1 && UNIT.test(name);
  const text = typeof value !== "number" ? String(value) : value === Math.round(value) && !isShare ? value.toLocaleString("en") : value.toFixed(3);
  const range = interval ? ` [${interval.map((x) => x.toFixed(3)).join(", ")}]` : "";
  return h("li", {},
    h("span", {}, name.replaceAll("_", " ").replace(/^nll per note/, "nats a note (negative log-likelihood)").replace(/^nll (\w+)/, "of these, for the $1")), h("span", { class: "value" }, text),
    isShare && h("div", { class: "axis", "aria-hidden": "true" },
      interval && h("i", { class: "range", vars: { "--from": `${interval[0] * 100}%`, "--to": `${interval[1] * 100}%` } }),
      h("i", { class: "dot", vars: { "--at": `${value * 100}%` } })),
    h("span", { class: "how" }, [protocol, n && `n = ${n.toLocaleString("en")}`, range.trim()].filter(Boolean).join(" · ")));
}

function known(labels) {
  const most = labels[0][1];
  const rows = (some) => h("ul", { class: "labels" }, some.map(([name, n]) =>
    h("li", {}, h("span", {}, name), h("i", { class: "bar", "aria-hidden": "true", vars: { "--p": `${(n / most) * 100}%` } }), h("span", { class: "soft" }, n.toLocaleString("en")))));
  return h("section", { class: "stack tight" }, h("h3", {}, "What it learnt, in pieces"), rows(labels.slice(0, MOST_LABELS)),
    labels.length > MOST_LABELS && h("details", {}, h("summary", {}, `All ${labels.length}`), rows(labels.slice(MOST_LABELS))));
}

function corpora(list) {
  if (!list.length) return null;
  const sums = new Map();
  for (const { name, pieces } of list) sums.set(name, (sums.get(name) ?? 0) + (pieces ?? 0));
  return h("section", { class: "stack tight" }, h("h3", {}, "Learnt from"),
    h("ul", { class: "tags" }, [...sums].map(([name, n]) => h("li", {}, `${name} · ${n.toLocaleString("en")}`))),
    h("details", {}, h("summary", {}, "Under which licences"),
      h("div", { class: "table", tabindex: 0, role: "region", "aria-label": "Licences of the training music" },
        h("table", {}, h("thead", {}, h("tr", {}, ["collection", "licence", "pieces"].map((t) => h("th", { scope: "col" }, h("span", { class: "cellhead" }, t))))),
          h("tbody", {}, list.map((c) => h("tr", {}, h("td", {}, c.name), h("td", { class: "wrap" }, c.licence), h("td", { class: "number" }, (c.pieces ?? 0).toLocaleString("en")))))))));
}
