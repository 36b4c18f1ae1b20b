// Notes -> a standard MIDI file of type 1, so that what was played or cut here can be a seed there.

const TICKS = 480; // a quarter note

const bytes = (text) => [...text].map((letter) => letter.charCodeAt(0) & 0x7f);
const number = (value, length) => Array.from({ length }, (_, i) => (value >> (8 * (length - 1 - i))) & 0xff);

function variable(value) {
  const out = [value & 0x7f];
  for (let rest = value >> 7; rest > 0; rest >>= 7) out.unshift((rest & 0x7f) | 0x80);
  return out;
}

function track(events) {
  events.sort((a, b) => a.at - b.at || a.order - b.order);
  let now = 0;
  const body = events.flatMap(({ at, data }) => {
    const wait = variable(Math.max(0, at - now));
    now = Math.max(now, at);
    return [...wait, ...data];
  });
  const all = [...body, 0, 0xff, 0x2f, 0];
  return [...bytes("MTrk"), ...number(all.length, 4), ...all];
}

// notes: [start, duration, pitch, velocity, part] in quarter notes; tempo: quarter notes a minute; meter: [beats, unit].
export function midiFile({ notes, tempo = 120, meter = [4, 4], parts = [], name = "piece.mid" }) {
  const map = [
    { at: 0, order: 0, data: [0xff, 0x51, 3, ...number(Math.round(60_000_000 / tempo), 3)] },
    { at: 0, order: 0, data: [0xff, 0x58, 4, meter[0], Math.log2(meter[1]), 24, 8] },
  ];
  const used = [...new Set(notes.map((n) => n[4] ?? 0))].sort((a, b) => a - b);
  const tracks = used.map((part) => {
    const free = part % 15;
    const channel = parts[part]?.drum ? 9 : free >= 9 ? free + 1 : free;
    const events = [{ at: 0, order: 0, data: [0xc0 | channel, parts[part]?.program ?? 0] }];
    for (const [start, duration, pitch, velocity, own = 0] of notes) {
      if (own !== part) continue;
      const on = Math.round(start * TICKS);
      events.push({ at: on, order: 2, data: [0x90 | channel, pitch, Math.max(1, Math.min(127, Math.round(velocity)))] });
      events.push({ at: Math.max(on + 1, Math.round((start + duration) * TICKS)), order: 1, data: [0x80 | channel, pitch, 0] });
    }
    return track(events);
  });
  const head = [...bytes("MThd"), ...number(6, 4), ...number(1, 2), ...number(tracks.length + 1, 2), ...number(TICKS, 2)];
  return new File([new Uint8Array([...head, ...track(map), ...tracks.flat()])], name, { type: "audio/midi" });
}

// Quarter notes a minute of what was played without a metronome: the beat between 60 and 150 whose quarters most onsets lie near.
export function tempoOf(onsets) {
  if (onsets.length < 4) return 100;
  let best = { tempo: 100, score: -Infinity };
  for (let tempo = 60; tempo <= 150; tempo++) {
    const unit = 60 / tempo / 4;
    let re = 0;
    let im = 0;
    for (const onset of onsets) {
      const angle = (2 * Math.PI * (onset - onsets[0])) / unit;
      re += Math.cos(angle);
      im += Math.sin(angle);
    }
    const score = Math.hypot(re, im) / onsets.length - 0.0015 * Math.abs(tempo - 100); // a plain tempo where several fit
    if (score > best.score) best = { tempo, score };
  }
  return best.tempo;
}
