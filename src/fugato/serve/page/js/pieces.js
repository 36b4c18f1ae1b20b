// Pieces as /api/notes tells them: which bar is when, and the first bars of one as a MIDI file.

import { beatClock } from "./components/score.js";
import { midiFile } from "./midi-file.js";

const UNITS = [1, 2, 4, 8];

// Numerator and denominator of a bar of so many quarter notes.
function meterOf(quarters) {
  const unit = UNITS.find((u) => u >= 4 && Math.abs((quarters * u) / 4 - Math.round((quarters * u) / 4)) < 0.02) ?? 4;
  return [Math.max(1, Math.round((quarters * unit) / 4)), unit];
}

// Bars 1 to `last` as a MIDI file: its beats as they are, one tempo.
export function firstBars(piece, last, name) {
  const { quarters } = beatClock(piece);
  const end = piece.bars[last] ?? piece.seconds;
  const starts = piece.bars.slice(0, 3).map(quarters);
  const whole = (starts[2] ?? quarters(piece.seconds)) - (starts[1] ?? 0);
  const upbeat = starts[1] < whole - 0.01 ? whole - starts[1] : 0; // a bar that is cut short at the start
  const notes = piece.notes
    .map((note, i) => [piece.beats[i][0] + upbeat, Math.min(piece.beats[i][1], quarters(end) - piece.beats[i][0]), note[2], note[3], note[4]])
    .filter((note, i) => piece.notes[i][0] < end - 0.01);
  const tempo = Math.max(20, Math.min(300, (60 * quarters(end)) / Math.max(0.1, end)));
  return midiFile({ notes, tempo, meter: meterOf(whole || 4), parts: piece.parts, name });
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
