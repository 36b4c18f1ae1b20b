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
  #next = 0; // first note that was not handed over
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
    if (this.playing) this.#place(this.time);
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
    return Math.max(0, Math.min(this.duration, this.#offset + audio().context.currentTime - this.#since));
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
    if (playing) this.#go();
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

  #go() {
    this.#stalled = false;
    this.#since = audio().context.currentTime + LEAD;
    this.#next = this.notes.findIndex(([start, duration]) => start + duration > this.#offset + 0.02 && start >= this.#offset - 0.05);
    if (this.#next < 0) this.#next = this.notes.length;
  }

  // After notes were added among those that wait: hand over what lies beyond the window that was already handed over.
  #place(now) {
    const from = now + (document.hidden ? AHEAD_HIDDEN : AHEAD);
    const handed = this.notes[this.#next - 1]?.[0] ?? -1;
    while (this.#next < this.notes.length && this.notes[this.#next][0] <= Math.min(handed, from)) this.#next++;
  }

  #look() {
    if (!this.playing || this.#stalled) return;
    const now = this.time;
    const horizon = now + (document.hidden ? AHEAD_HIDDEN : AHEAD);
    while (this.#next < this.notes.length && this.notes[this.#next][0] < horizon) {
      const [start, duration, pitch, velocity, part = 0] = this.notes[this.#next++];
      const at = this.#since + start - this.#offset;
      this.#voice.note(this.#channel(part), pitch, velocity || 80, Math.max(at, audio().context.currentTime), Math.max(0.05, duration));
    }
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
