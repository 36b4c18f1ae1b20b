// Verovio in a worker of its own, so that engraving a long score never holds up the page.
// in: { id, call: "load", xml, width } or { id, call: "page", page }; out: { id, ... } or { id, error }.

import createVerovioModule from "../../vendor/verovio/verovio-module.mjs";
import { VerovioToolkit } from "../../vendor/verovio/verovio.mjs";

const SCALE = 40; // per cent
const toolkit = createVerovioModule().then((module) => new VerovioToolkit(module));

const calls = {
  async load({ xml, width }) {
    const engraver = await toolkit;
    engraver.setOptions({
      scale: SCALE,
      pageWidth: Math.round((width * 100) / SCALE),
      pageHeight: Math.round((Math.max(560, width * 0.8) * 100) / SCALE),
      adjustPageHeight: true,
      breaks: "auto",
      header: "none",
      footer: "none",
      svgViewBox: true,
      pageMarginLeft: 20,
      pageMarginRight: 20,
      pageMarginTop: 60,
      pageMarginBottom: 40,
      spacingStaff: 8,
    });
    if (!engraver.loadData(xml)) throw new Error("Verovio cannot read it.");
    return { pages: engraver.getPageCount(), times: engraver.renderToTimemap({ includeMeasures: true }) };
  },

  async page({ page }) {
    const svg = (await toolkit).renderToSVG(page);
    // Styles inside of the picture would need a laxer policy of the page: colours and fonts come from its own style sheets.
    const font = /@font-face[^}]*font-family:\s*['"]?Leipzig['"]?[^}]*base64,\s*([A-Za-z0-9+/=]+)/.exec(svg)?.[1]; // notes within words
    return { font, svg: svg.replace(/<style[^>]*>[\s\S]*?<\/style>/g, "").replace(/\sstyle="[^"]*"/g, "") };
  },

  async pageOf({ element }) {
    return { page: (await toolkit).getPageWithElement(element) };
  },
};

addEventListener("message", async ({ data }) => {
  try {
    postMessage({ id: data.id, ...(await calls[data.call](data)) });
  } catch (error) {
    postMessage({ id: data.id, error: error.message });
  }
});
