// What was written until it was stopped, as a MIDI file.

import { midiFile } from "./midi-file.js";

const UNITS = [1, 2, 4, 8];

// Numerator and denominator of a bar of so many quarter notes.
function meterOf(quarters) {
  const unit = UNITS.find((u) => u >= 4 && Math.abs((quarters * u) / 4 - Math.round((quarters * u) / 4)) < 0.02) ?? 4;
  return [Math.max(1, Math.round((quarters * unit) / 4)), unit];
}

// Bars as they came while they were written -> a MIDI file. A bar tells its length in quarter notes, or is taken for four of them.
export function fromBars(events, parts, name) {
  const bars = [...events].sort((a, b) => a.bar - b.bar);
  let at = 0;
  let tempo = 0;
  const notes = [];
  for (const bar of bars) {
    const quarters = bar.quarters ?? 4;
    const seconds = bar.end - bar.start || 1;
    tempo ||= (60 * quarters) / seconds;
    for (const [start, duration, pitch, velocity, part] of bar.notes) {
      notes.push([at + ((start - bar.start) * quarters) / seconds, (duration * quarters) / seconds, pitch, velocity, part]);
    }
    at += quarters;
  }
  return midiFile({ notes, tempo: tempo || 100, meter: meterOf(bars[0]?.quarters ?? 4), parts, name });
}
