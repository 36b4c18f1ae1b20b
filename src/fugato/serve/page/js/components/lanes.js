// A recording as pictures that share their time: waveform, mel spectrogram, genres; one cursor over all of them.

import { clock, colours, h, percent, redrawn, sharp } from "../dom.js";

export function lanes(player, { waveform, mel, seconds }, timeline = []) {
  const wave = h("canvas", { class: "wave", role: "img", "aria-label": "Waveform" });
  const spectrum = h("img", { class: "mel", src: mel.png, alt: `Mel spectrogram, ${Math.round(mel.low_hz)} to ${Math.round(mel.high_hz)} hertz` });
  const cursor = h("div", { class: "cursor" });
  const times = h("div", { class: "times", "aria-hidden": "true" }, [0, 0.25, 0.5, 0.75, 1].map((share) => h("span", {}, clock(share * seconds))));
  const heat = heatmap(timeline, seconds);
  const box = h("div", { class: "lanes" }, wave, spectrum, heat.element, times, cursor);

  const drawWave = () => {
    const { context: c, width, height } = sharp(wave);
    const { note, accent } = colours(wave);
    const n = waveform.min.length;
    const peak = Math.max(0.05, ...waveform.max, ...waveform.min.map((x) => -x));
    const here = (player.time / seconds) * width;
    for (let x = 0; x < width; x += 2) {
      const a = Math.floor((x / width) * n);
      const b = Math.max(a + 1, Math.floor(((x + 2) / width) * n));
      let low = 0;
      let high = 0;
      for (let i = a; i < b && i < n; i++) {
        low = Math.min(low, waveform.min[i]);
        high = Math.max(high, waveform.max[i]);
      }
      const top = height / 2 - (high / peak) * (height / 2 - 2);
      const foot = height / 2 - (low / peak) * (height / 2 - 2);
      c.fillStyle = x < here ? accent : note;
      c.fillRect(x, top, 1.4, Math.max(1.4, foot - top));
    }
  };
  const move = () => {
    cursor.style.transform = `translateX(${(player.time / seconds) * box.clientWidth}px)`;
    drawWave();
    heat.at(player.time);
  };
  const seek = (event) => player.seek(((event.clientX - box.getBoundingClientRect().left) / box.clientWidth) * seconds);
  box.addEventListener("pointerdown", (event) => {
    seek(event);
    if (event.pointerType === "mouse") box.setPointerCapture(event.pointerId);
  });
  box.addEventListener("pointermove", (event) => event.buttons && event.pointerType === "mouse" && seek(event));
  const off = [redrawn(box, () => { heat.draw(); move(); }), player.on("time", move)];
  box.close = () => off.forEach((undo) => undo());
  return box;
}

// One line a genre, the five that are likeliest anywhere: the stronger the colour, the likelier at that time.
function heatmap(timeline, seconds) {
  const most = new Map();
  for (const { ranking } of timeline) for (const { name, probability } of ranking) most.set(name, (most.get(name) ?? 0) + probability);
  const names = [...most].sort((a, b) => b[1] - a[1]).slice(0, 5).map(([name]) => name);
  const share = (segment, name) => segment.ranking.find((g) => g.name === name)?.probability ?? 0;
  const rows = names.map((name) => {
    const canvas = h("canvas", { "aria-hidden": "true" });
    return { name, canvas, label: h("span", {}, name), element: null };
  });
  for (const row of rows) row.element = h("div", { class: "lane" }, row.canvas, row.label);
  const told = timeline.map((s) => `${clock(s.start)} ${s.ranking[0].name}`).join(", ");
  const element = h("div", { class: "heat", role: "img", "aria-label": `Genres over time: ${told}` }, rows.map((row) => row.element));
  return {
    element,
    draw() {
      for (const { name, canvas } of rows) {
        const { context: c, width, height } = sharp(canvas);
        c.fillStyle = colours(canvas).accent;
        for (const segment of timeline) {
          c.globalAlpha = Math.sqrt(share(segment, name));
          const from = Math.round((segment.start / seconds) * width);
          c.fillRect(from, 0, Math.round((segment.end / seconds) * width) - from, height);
        }
      }
    },
    at(time) {
      const now = timeline.find((segment) => time >= segment.start && time < segment.end) ?? timeline[timeline.length - 1];
      for (const { name, label } of rows) label.textContent = now ? `${name} ${percent(share(now, name))}` : name;
    },
  };
}
