// Plays a recording with the same face as the player of notes.

import { audio, wake } from "./context.js";
import { Transport } from "./transport.js";

export class RecordingPlayer extends Transport {
  #element = new Audio();
  #connected = false;
  #url = "";

  constructor() {
    super();
    this.#element.preload = "auto";
    this.#element.addEventListener("loadedmetadata", () => {
      if (Number.isFinite(this.#element.duration)) this.duration = this.#element.duration;
      this.emit("state");
    });
    this.#element.addEventListener("ended", () => this.stopped());
    this.#element.addEventListener("error", () => this.#url && this.emit("unplayable"));
  }

  load(blob, seconds = 0) {
    this.pause();
    if (this.#url) URL.revokeObjectURL(this.#url);
    this.#url = URL.createObjectURL(blob);
    this.#element.src = this.#url;
    this.duration = seconds;
    this.emit("state");
    this.emit("time");
  }

  get time() {
    return this.#element.currentTime;
  }

  async play() {
    await wake();
    if (!this.#connected) {
      audio().context.createMediaElementSource(this.#element).connect(audio().master);
      this.#connected = true;
    }
    await this.#element.play();
    this.started();
  }

  pause() {
    if (!this.playing) return;
    this.#element.pause();
    this.stopped();
  }

  seek(seconds) {
    this.#element.currentTime = Math.max(0, Math.min(this.duration, seconds));
    this.emit("time");
  }
}
