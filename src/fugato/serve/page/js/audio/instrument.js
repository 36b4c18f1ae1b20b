// Which instrument sounds: the soundfont as soon as it is there, the small synthesiser until then and where there is none.

import { audio } from "./context.js";
import { loadSoundfont } from "./soundfont.js";
import { Synth } from "./synth.js";

const PATIENCE = 2500; // milliseconds that a press on play waits for the soundfont

let synth = null;
let soundfont = null;
let loading = null;

export const events = new EventTarget(); // "change" when the name or the progress changes
export let status = "";

function tell(text) {
  status = text;
  events.dispatchEvent(new Event("change"));
}

export function prepare() {
  loading ??= loadSoundfont(audio(), (share) => tell(`Soundfont ${Math.round(share * 100)} %`))
    .catch(() => null)
    .then((loaded) => {
      soundfont = loaded;
      tell(`Sound: ${current().name}`);
    });
  return loading;
}

export function current() {
  synth ??= new Synth(audio());
  return soundfont ?? synth;
}

// For pieces: worth a short wait. Live notes and music that is being written take `current()` at once.
export async function ready() {
  await Promise.race([prepare(), new Promise((go) => setTimeout(go, PATIENCE))]);
  tell(`Sound: ${current().name}`);
  return current();
}
