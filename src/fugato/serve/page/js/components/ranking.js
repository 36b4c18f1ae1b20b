// Names in falling order of probability, each with a bar.

import { h, percent } from "../dom.js";

export function ranking(answer, { most = 6, small = false, fullNames = null } = {}) {
  const list = h("ol", { class: `ranking${small ? " small" : ""}${answer.known ? "" : " unknown"}`, "aria-label": "Ranking" });
  list.append(...answer.ranking.slice(0, most).map(({ name, probability }) => row(fullNames?.get(name) ?? name, probability)));
  return list;
}

function row(name, probability) {
  return h("li", {},
    h("span", { class: "name" }, name),
    h("span", { class: "share" }, percent(probability)),
    h("span", { class: "bar", "aria-hidden": "true" }, h("i", { vars: { "--p": `${(probability * 100).toFixed(2)}%` } })));
}

// A ranking that changes while one looks: rows are kept for their names, so that bars grow and do not jump.
export function liveRanking(most = 6) {
  const list = h("ol", { class: "ranking", "aria-label": "Ranking" });
  list.show = ({ ranking: names, known }) => {
    list.classList.toggle("unknown", !known);
    names.slice(0, most).forEach(({ name, probability }, i) => {
      if (!list.children[i]) list.append(row(name, probability));
      const item = list.children[i];
      item.querySelector(".name").textContent = name;
      item.querySelector(".share").textContent = percent(probability);
      item.querySelector("i").style.setProperty("--p", `${(probability * 100).toFixed(2)}%`);
    });
    while (list.children.length > Math.min(most, names.length)) list.lastChild.remove();
  };
  return list;
}
