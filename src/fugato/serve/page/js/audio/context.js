// One audio context for the page, made at the first sound: everything goes through one gain and one analyser to the loudspeaker.

let graph = null;

export function audio() {
  if (graph) return graph;
  const context = new AudioContext({ latencyHint: "interactive" });
  const master = new GainNode(context, { gain: 0.9 });
  const limit = new DynamicsCompressorNode(context, { threshold: -10, knee: 8, ratio: 8, attack: 0.003, release: 0.2 });
  const analyser = new AnalyserNode(context, { fftSize: 2048 });
  master.connect(limit).connect(analyser).connect(context.destination);
  graph = { context, master, analyser };
  return graph;
}

// To be called in the handler of a press: browsers let sound begin only there.
export async function wake() {
  const { context } = audio();
  if (context.state !== "running") await context.resume();
}

// Largest sample that sounds now, 0 to 1; 0 where nothing was ever played.
export function level() {
  if (!graph) return 0;
  const samples = new Float32Array(graph.analyser.fftSize);
  graph.analyser.getFloatTimeDomainData(samples);
  return samples.reduce((most, x) => Math.max(most, Math.abs(x)), 0);
}
