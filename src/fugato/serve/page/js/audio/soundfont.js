// The server's soundfont, played by SpessaSynth in an audio worklet. Loaded when sound is first wanted, and only if the server has one.

const LIB = "/static/vendor/spessasynth_lib";
const QUEUED = 0.26; // seconds of notes that may be on their way

export class Soundfont {
  constructor(synth, out, name) {
    Object.assign(this, { synth, out, name });
  }

  program(channel, program) {
    if (channel !== 9) this.synth.programChange(channel, program);
  }

  note(channel, pitch, velocity, start, duration) {
    this.synth.noteOn(channel, pitch, velocity, { time: start });
    this.synth.noteOff(channel, pitch, { time: start + duration });
  }

  on(channel, pitch, velocity) {
    this.synth.noteOn(channel, pitch, velocity);
  }

  off(channel, pitch) {
    this.synth.noteOff(channel, pitch);
  }

  // Notes that are under way to the worklet cannot be called back: nothing is heard until they are over.
  silence() {
    const { gain, context } = this.out;
    gain.cancelScheduledValues(context.currentTime);
    gain.setTargetAtTime(0, context.currentTime, 0.01);
    gain.setTargetAtTime(1, context.currentTime + QUEUED, 0.005);
    this.synth.stopAll(false);
    setTimeout(() => this.synth.stopAll(true), QUEUED * 900);
  }
}

// The instrument, or null where the server has no soundfont or the browser no audio worklet. progress(share) is told what has come.
export async function loadSoundfont({ context, master }, progress = () => {}) {
  if (!context.audioWorklet) return null; // not on pages that came over plain HTTP from another machine
  const response = await fetch("/api/soundfont");
  if (!response.ok || response.status === 204) return null;
  const total = Number(response.headers.get("content-length")) || 0;
  const named = /filename="?([^";]+)/.exec(response.headers.get("content-disposition") ?? "");
  const chunks = [];
  let loaded = 0;
  for (const reader = response.body.getReader(); ; ) {
    const { done, value } = await reader.read();
    if (done) break;
    chunks.push(value);
    loaded += value.length;
    progress(total ? loaded / total : 0);
  }
  const bytes = await new Blob(chunks).arrayBuffer();
  const [{ WorkletSynthesizer }] = await Promise.all([
    import(`${LIB}/index.js`),
    context.audioWorklet.addModule(`${LIB}/spessasynth_processor.min.js`),
  ]);
  const synth = new WorkletSynthesizer(context);
  await synth.soundBankManager.addSoundBank(bytes, "main");
  await synth.isReady;
  const out = new GainNode(context, { gain: 1 });
  synth.connect(out);
  out.connect(master);
  return new Soundfont(synth, out, named ? named[1].replace(/\.\w+$/, "") : "soundfont");
}
