// Records the microphone as samples and gives them as a WAV file, which every server reads (a browser's own recorder writes WebM).

import { audio, wake } from "./context.js";

export async function record(onlevel = () => {}) {
  if (!navigator.mediaDevices) throw new Error("This browser gives no microphone to pages that came over plain HTTP from another machine.");
  const stream = await navigator.mediaDevices.getUserMedia({ audio: { echoCancellation: false, noiseSuppression: false, autoGainControl: false } });
  await wake();
  const { context } = audio();
  await context.audioWorklet.addModule(new URL("./recorder-worklet.js", import.meta.url));
  const source = context.createMediaStreamSource(stream);
  const tap = new AudioWorkletNode(context, "recorder", { numberOfOutputs: 0 });
  const blocks = [];
  tap.port.onmessage = ({ data }) => {
    blocks.push(data);
    onlevel(data.reduce((most, x) => Math.max(most, Math.abs(x)), 0), (blocks.length * data.length) / context.sampleRate);
  };
  source.connect(tap);
  return {
    stop() {
      source.disconnect();
      tap.port.onmessage = null;
      stream.getTracks().forEach((track) => track.stop());
      return new File([wav(blocks, context.sampleRate)], "recording.wav", { type: "audio/wav" });
    },
  };
}

// Blocks of float samples, one channel -> a WAV of 16 bits.
function wav(blocks, rate) {
  const count = blocks.reduce((n, block) => n + block.length, 0);
  const view = new DataView(new ArrayBuffer(44 + count * 2));
  const text = (at, letters) => [...letters].forEach((letter, i) => view.setUint8(at + i, letter.charCodeAt(0)));
  text(0, "RIFF");
  view.setUint32(4, 36 + count * 2, true);
  text(8, "WAVEfmt ");
  view.setUint32(16, 16, true);
  view.setUint16(20, 1, true);
  view.setUint16(22, 1, true);
  view.setUint32(24, rate, true);
  view.setUint32(28, rate * 2, true);
  view.setUint16(32, 2, true);
  view.setUint16(34, 16, true);
  text(36, "data");
  view.setUint32(40, count * 2, true);
  let at = 44;
  for (const block of blocks) {
    for (const x of block) {
      view.setInt16(at, Math.max(-1, Math.min(1, x)) * 32767, true);
      at += 2;
    }
  }
  return view.buffer;
}
