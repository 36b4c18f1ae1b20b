// The server's soundfont, played by SpessaSynth in an audio worklet. Loaded when sound is first wanted, and only if the server has one.

const LIB = "/static/vendor/spessasynth_lib";

export class Soundfont {
  constructor(synth, name) {
    this.synth = synth;
    this.name = name;
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

  silence() {
    this.synth.stopAll(false);
  }
}

// The instrument, or null where the server has no soundfont or the browser no audio worklet. progress(share) is told what has come.
export async function loadSoundfont({ context, master }, progress = () => {}) {
  if (!context.audioWorklet) return null; // not on pages that came over plain HTTP from another machine
  const response = await fetch("/api/soundfont");
  if (!response.ok) return null;
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
  synth.connect(master);
  return new Soundfont(synth, named ? named[1].replace(/\.\w+$/, "") : "soundfont");
}
