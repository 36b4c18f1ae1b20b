// Plays notes: [start seconds, duration seconds, pitch, velocity, part]. They are handed to the instrument a little ahead of time, so
// that notes can be added while it plays (music that is being written) and the clock is that of the sound itself.

import { audio, wake } from "./context.js";
import * as instrument from "./instrument.js";
import { Transport } from "./transport.js";

const AHEAD = 0.25; // seconds handed over in advance; more while the page is hidden and its timers are slow
const AHEAD_HIDDEN = 2.5;
const EVERY = 60; // milliseconds between looks
const LEAD = 0.08; // seconds between the press and the first note
const TAIL = 0.6; // seconds that the last note may ring
const MARGIN = 0.4; // seconds that must be written before music that caught up goes on

export class NotePlayer extends Transport {
  notes = [];
  parts = [];
  open = false; // more notes are coming
  #offset = 0; // place in the music where the clock was last set
  #since = 0; // audio clock at that moment
  #handed = 0; // notes that start before this were handed over
  #timer = 0;
  #voice = null;
  #stalled = false;

  load({ notes, parts = [], seconds = 0 }) {
    this.pause();
    this.notes = [...notes].sort((a, b) => a[0] - b[0]);
    this.parts = parts;
    this.open = false;
    this.duration = Math.max(seconds, this.#end());
    this.#offset = 0;
    this.emit("state");
    this.emit("time");
  }

  append(notes, until = 0) {
    this.notes.push(...notes);
    this.notes.sort((a, b) => a[0] - b[0]);
    this.duration = Math.max(this.duration, until, this.#end());
    if (this.playing && !this.#stalled) {
      const now = this.time;
      for (const note of notes) if (note[0] >= now - 0.05 && note[0] < this.#handed) this.#hand(note);
    }
    if (this.#stalled && this.duration > this.#offset + MARGIN) this.#go();
    this.emit("state");
  }

  // No more notes will come.
  close() {
    this.open = false;
    if (this.#stalled) this.#go();
  }

  get time() {
    if (!this.playing || this.#stalled) return this.#offset;
    return Math.max(this.#offset, Math.min(this.duration, this.#offset + audio().context.currentTime - this.#since));
  }

  async play({ atOnce = false } = {}) {
    if (this.playing) return;
    const waking = wake();
    if (atOnce) instrument.prepare();
    this.#voice = atOnce ? instrument.current() : await instrument.ready();
    await waking;
    if (this.playing) return;
    if (!this.open && this.#offset >= this.duration - 0.05) this.#offset = 0;
    for (let part = 0; part < Math.max(1, this.parts.length); part++) this.#voice.program(this.#channel(part), this.parts[part]?.program ?? 0);
    this.playing = true;
    this.#go();
    this.started();
    this.#timer = setInterval(() => this.#look(), EVERY);
    this.#look();
  }

  pause() {
    if (!this.playing) return;
    this.#offset = this.time;
    this.#halt();
  }

  seek(seconds) {
    const playing = this.playing;
    if (playing) this.#voice.silence();
    this.#offset = Math.max(0, Math.min(this.duration, seconds));
    if (playing) this.#go(AHEAD + LEAD); // what was handed over already is heard no more by then
    this.emit("time");
  }

  #end() {
    return this.notes.reduce((most, [start, duration]) => Math.max(most, start + duration), 0);
  }

  #channel(part) {
    const own = this.parts[part];
    if (own?.drum) return 9;
    const channel = part % 15;
    return channel >= 9 ? channel + 1 : channel;
  }

  #halt() {
    clearInterval(this.#timer);
    this.#voice?.silence();
    this.#stalled = false;
    this.stopped();
  }

  #go(lead = LEAD) {
    this.#handed = this.#offset - (this.#stalled ? 0 : 0.05);
    this.#stalled = false;
    this.#since = audio().context.currentTime + lead;
  }

  #hand([start, duration, pitch, velocity, part = 0]) {
    const at = Math.max(this.#since + start - this.#offset, audio().context.currentTime);
    this.#voice.note(this.#channel(part), pitch, velocity || 80, at, Math.max(0.05, duration));
  }

  #look() {
    if (!this.playing || this.#stalled) return;
    const now = this.time;
    const horizon = now + (document.hidden ? AHEAD_HIDDEN : AHEAD);
    let low = 0;
    let high = this.notes.length; // the first that was not handed over, by halving
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.notes[middle][0] < this.#handed) low = middle + 1;
      else high = middle;
    }
    for (; low < this.notes.length && this.notes[low][0] < horizon; low++) this.#hand(this.notes[low]);
    this.#handed = Math.max(this.#handed, horizon);
    if (now < this.duration - 0.01) return;
    if (this.open) {
      this.#offset = this.duration;
      this.#stalled = true; // waits for the next bar
    } else if (audio().context.currentTime > this.#since + this.duration - this.#offset + TAIL) {
      this.#offset = 0;
      this.#halt();
      this.emit("end");
    }
  }
}
