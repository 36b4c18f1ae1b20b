// Who was taken for whom on pieces the model had not seen: a row for each true name, a column for each answer; the darker, the more of the row.

import { colours, h, percent, redrawn, sharp } from "../dom.js";

const EDGE = 92; // pixels for the names of the rows
const MOST_NAMED = 30; // names beyond which only the touched row is named

export function confusion({ confusion: matrix, per_class: classes }) {
  const names = Object.keys(classes);
  const sums = matrix.map((row) => row.reduce((a, b) => a + b, 0) || 1);
  const mistakes = matrix
    .flatMap((row, i) => row.map((n, j) => ({ from: names[i], to: names[j], share: n / sums[i], n, i, j })))
    .filter((m) => m.i !== m.j)
    .sort((a, b) => b.share - a.share);
  const canvas = h("canvas", { class: "matrix", role: "img", "aria-label": `Confusion matrix of ${names.length} names; most often ${mistakes[0].from} was taken for ${mistakes[0].to}` });
  const told = h("p", { class: "soft small" }, "Rows are who it was, columns who was named. Touch a cell.");
  const size = () => Math.max(1, Math.floor((canvas.clientWidth - EDGE) / names.length));
  let at = null;

  const draw = () => {
    canvas.style.height = `${size() * names.length + 4}px`;
    const { context: c } = sharp(canvas);
    const colour = colours(canvas);
    const cell = size();
    const gap = cell > 6 ? 1 : 0;
    matrix.forEach((row, i) => row.forEach((n, j) => {
      c.globalAlpha = 1;
      c.fillStyle = colour.well;
      c.fillRect(EDGE + j * cell, i * cell, cell - gap, cell - gap);
      if (!n) return;
      c.globalAlpha = Math.sqrt(n / sums[i]);
      c.fillStyle = i === j ? colour.accent : colour.ink;
      c.fillRect(EDGE + j * cell, i * cell, cell - gap, cell - gap);
    }));
    c.globalAlpha = 1;
    c.textAlign = "right";
    c.textBaseline = "middle";
    names.forEach((name, i) => {
      if (names.length > MOST_NAMED && i !== at?.i && i % Math.ceil(13 / cell)) return;
      c.font = `${i === at?.i ? 700 : 500} ${Math.min(12, Math.max(10, cell))}px ${getComputedStyle(canvas).fontFamily}`;
      c.fillStyle = i === at?.i ? colour.ink : colour.soft;
      c.fillText(name, EDGE - 8, i * cell + cell / 2, EDGE - 10);
    });
    if (at) {
      c.strokeStyle = colour.ink;
      c.lineWidth = 2;
      c.strokeRect(EDGE + at.j * cell, at.i * cell, cell - gap, cell - gap);
    }
  };
  canvas.addEventListener("pointermove", (event) => {
    const frame = canvas.getBoundingClientRect();
    const j = Math.floor((event.clientX - frame.left - EDGE) / size());
    const i = Math.floor((event.clientY - frame.top) / size());
    at = matrix[i]?.[j] === undefined ? null : { i, j };
    if (at) told.textContent = i === j ? `${names[i]}: ${percent(matrix[i][j] / sums[i])} named rightly` : `${names[i]} was taken for ${names[j]} in ${percent(matrix[i][j] / sums[i])} of ${sums[i]}`;
    draw();
  });
  redrawn(canvas, draw);
  return h("section", { class: "stack tight" }, h("h3", {}, "Who was taken for whom"),
    h("div", { class: "columns matrixes" }, h("div", { class: "stack tight" }, canvas, told),
      h("ul", { class: "evidence" }, mistakes.slice(0, 8).map((m) => h("li", {}, h("span", {}, `${m.from}, taken for ${m.to}`), h("span", { class: "soft" }, percent(m.share)))))));
}
