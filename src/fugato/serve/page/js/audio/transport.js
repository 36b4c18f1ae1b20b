// What every player has in common: play, pause, seek, a time that moves, and events "state" and "time".

export class Transport extends EventTarget {
  playing = false;
  duration = 0;
  #frame = 0;

  emit(name) {
    this.dispatchEvent(new Event(name));
  }

  started() {
    this.playing = true;
    this.emit("state");
    cancelAnimationFrame(this.#frame);
    const tick = () => {
      if (!this.playing) return;
      this.emit("time");
      this.#frame = requestAnimationFrame(tick);
    };
    tick();
  }

  stopped() {
    this.playing = false;
    cancelAnimationFrame(this.#frame);
    this.emit("time");
    this.emit("state");
  }

  toggle() {
    return this.playing ? this.pause() : this.play();
  }

  on(name, listener) {
    this.addEventListener(name, listener);
    return () => this.removeEventListener(name, listener);
  }
}
