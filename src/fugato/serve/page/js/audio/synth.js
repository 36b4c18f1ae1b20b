// The instrument that is always there: each note a few partials with an envelope, by family of the General MIDI program.
// It has the face of every instrument of the page: program, note (scheduled), on, off, silence.

const FAMILIES = {
  piano: { partials: [1, 0.52, 0.3, 0.2, 0.12, 0.08, 0.05, 0.03], attack: 0.004, decay: 1.6, sustain: 0, release: 0.18 },
  plucked: { partials: [1, 0.6, 0.42, 0.22, 0.18, 0.1, 0.06], attack: 0.002, decay: 0.9, sustain: 0, release: 0.12 },
  organ: { partials: [1, 0.8, 0.35, 0.5, 0.1, 0.2, 0, 0.25], attack: 0.02, decay: 0.1, sustain: 0.85, release: 0.08 },
  strings: { partials: [1, 0.55, 0.4, 0.28, 0.2, 0.14, 0.1, 0.07], attack: 0.07, decay: 0.3, sustain: 0.8, release: 0.2 },
  winds: { partials: [1, 0.28, 0.38, 0.1, 0.14, 0.05], attack: 0.04, decay: 0.2, sustain: 0.8, release: 0.1 },
};
const DRUMS = 9;
const MOST_VOICES = 64;

function familyOf(program) {
  if (program < 6 || (program > 7 && program < 16)) return "piano";
  if (program < 8 || (program > 23 && program < 40) || program === 45 || program === 46 || program > 103) return "plucked";
  if (program < 24) return "organ";
  if (program < 56) return "strings";
  return "winds";
}

export class Synth {
  name = "built-in synthesiser";

  constructor({ context, master }) {
    this.context = context;
    this.out = new GainNode(context, { gain: 0.32 });
    this.out.connect(master);
    this.programs = new Array(16).fill(0);
    this.waves = {};
    this.voices = new Set();
    this.held = new Map();
  }

  program(channel, program) {
    this.programs[channel] = program;
  }

  note(channel, pitch, velocity, start, duration) {
    const voice = this.#voice(channel, pitch, velocity, start);
    voice.end(start + duration);
  }

  on(channel, pitch, velocity) {
    this.off(channel, pitch);
    this.held.set(`${channel}:${pitch}`, this.#voice(channel, pitch, velocity, this.context.currentTime));
  }

  off(channel, pitch) {
    const key = `${channel}:${pitch}`;
    this.held.get(key)?.end(this.context.currentTime);
    this.held.delete(key);
  }

  silence() {
    for (const voice of [...this.voices]) voice.cut();
    this.held.clear();
  }

  #wave(family) {
    return (this.waves[family] ??= this.context.createPeriodicWave(
      new Float32Array([0, ...FAMILIES[family].partials]),
      new Float32Array(FAMILIES[family].partials.length + 1),
    ));
  }

  #noise() {
    if (!this.hiss) {
      this.hiss = new AudioBuffer({ length: this.context.sampleRate / 2, sampleRate: this.context.sampleRate });
      const data = this.hiss.getChannelData(0);
      for (let i = 0; i < data.length; i++) data[i] = Math.random() * 2 - 1;
    }
    return new AudioBufferSourceNode(this.context, { buffer: this.hiss });
  }

  #voice(channel, pitch, velocity, start) {
    if (this.voices.size >= MOST_VOICES) this.voices.values().next().value.cut();
    const drums = channel === DRUMS;
    const family = drums ? "plucked" : familyOf(this.programs[channel]);
    const { attack, decay, sustain, release } = FAMILIES[family];
    const frequency = 440 * 2 ** ((pitch - 69) / 12);
    const loud = (velocity / 127) ** 1.7;
    const ring = drums ? 0.12 : decay * 2 ** ((60 - pitch) / 24); // high strings die sooner
    const source = drums ? this.#noise() : new OscillatorNode(this.context, { frequency, periodicWave: this.#wave(family) });
    const shade = new BiquadFilterNode(this.context, { type: "lowpass", frequency: Math.min(18_000, drums ? 4000 : frequency * (3 + 9 * loud)) });
    const gain = new GainNode(this.context, { gain: 0 });
    source.connect(shade).connect(gain).connect(this.out);
    const begin = Math.max(start, this.context.currentTime);
    gain.gain.setValueAtTime(0, begin);
    gain.gain.linearRampToValueAtTime(loud, begin + attack);
    gain.gain.setTargetAtTime(loud * sustain, begin + attack, ring / 2);
    source.start(begin);
    const voice = {
      end: (at) => {
        const stop = Math.max(at, begin + attack);
        gain.gain.setTargetAtTime(0, stop, release / 3);
        source.stop(stop + release * 2);
      },
      cut: () => {
        this.voices.delete(voice);
        gain.gain.cancelScheduledValues(this.context.currentTime);
        gain.gain.setTargetAtTime(0, this.context.currentTime, 0.01);
        source.stop(this.context.currentTime + 0.08);
      },
    };
    this.voices.add(voice);
    source.addEventListener("ended", () => {
      this.voices.delete(voice);
      gain.disconnect();
    });
    return voice;
  }
}
