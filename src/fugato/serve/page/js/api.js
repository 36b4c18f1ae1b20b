// The server, as functions. A refusal comes as a Problem: its message is a sentence for people, its kind one of the contract's.

export class Problem extends Error {
  constructor(message, { kind = "failed", status = 0, input = null } = {}) {
    super(message);
    Object.assign(this, { kind, status, input });
  }
}

async function request(path, { as = "json", ...options } = {}) {
  let response;
  try {
    response = await fetch(path, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem("The server does not answer. Is `fugato serve` still running?", { kind: "offline" });
  }
  if (!response.ok) {
    const body = await response.json().catch(() => ({}));
    const detail = typeof body.detail === "string" ? body.detail : body.title;
    throw new Problem(detail || `The server answered with ${response.status}.`, { kind: body.kind, status: response.status, input: body.input });
  }
  return as === "response" ? response : response[as]();
}

function form(files, fields = {}) {
  const data = new FormData();
  for (const file of files) data.append("files", file, file.path || file.name);
  for (const [name, value] of Object.entries(fields)) {
    if (value !== undefined && value !== null && value !== "") data.append(name, String(value));
  }
  return data;
}

const post = (path, body, options = {}) => request(path, { method: "POST", body, ...options });

export const health = () => request("/health");
export const identify = (files, fields, signal) => post("/api/identify", form(files, fields), { signal });
export const genre = (files, fields, signal) => post("/api/genre", form(files, fields), { signal });
export const notes = (file, signal) => post("/api/notes", form([file]), { signal });
export const sound = (file, signal) => post("/api/sound", form([file]), { signal });
export const convert = (file, to, signal) => post(`/api/convert?to=${to}`, form([file]), { as: "blob", signal });
export const styleMap = (files, signal) => post("/api/map", form(files), { signal });
export const feedback = (verdict) => post("/api/feedback", JSON.stringify(verdict), { as: "response", headers: { "content-type": "application/json" } });
export const blob = (url) => request(url, { as: "blob" });

const once = {}; // tables that do not change while the page is open
const table = (path) => (once[path] ??= request(path).catch((error) => {
  delete once[path];
  throw error;
}));
export const models = () => table("/api/models");
export const figures = (name) => table(`/api/models/${encodeURIComponent(name)}/figures`);
export const composers = () => table("/api/composers");
export const examples = () => table("/api/examples");

export async function exampleFile(name) {
  const known = (await examples()).find((e) => e.name === name);
  if (!known) throw new Problem(`There is no example called “${name}”.`, { kind: "bad-option", input: name });
  const data = await blob(known.url || `/api/examples/${encodeURIComponent(name)}`);
  return Object.assign(new File([data], fileNameOf(known)), { example: known });
}

const fileNameOf = (known) => known.file || (known.url || known.name).split("/").pop();

export function startComposing(fields, seed) {
  const data = form([], fields);
  if (seed) data.append("seed", seed, seed.name);
  return post("/api/compose", data);
}
export const composing = (job) => request(`/api/compose/${job}`);
export const stopComposing = (job) => request(`/api/compose/${job}`, { method: "DELETE", as: "response" });

// Bars as they are written: on.bar(event), on.done(job), on.error(Problem). Returns what closes the stream.
export function composed(job, on) {
  const source = new EventSource(`/api/compose/stream?job=${encodeURIComponent(job)}`);
  let over = false;
  const end = (tell) => {
    if (over) return;
    over = true;
    source.close();
    tell();
  };
  source.addEventListener("bar", (event) => on.bar(JSON.parse(event.data)));
  source.addEventListener("done", (event) => end(() => on.done(JSON.parse(event.data))));
  source.addEventListener("error", (event) => {
    const body = event.data ? JSON.parse(event.data) : {};
    if (!event.data && source.readyState === EventSource.CONNECTING) return; // it connects again by itself
    end(() => on.error(new Problem(body.detail || "The stream of bars was cut off.", { kind: body.kind })));
  });
  return () => end(() => {});
}

export function listen(on) {
  const scheme = location.protocol === "https:" ? "wss" : "ws";
  const socket = new WebSocket(`${scheme}://${location.host}/api/live`);
  const waiting = [];
  socket.addEventListener("open", () => waiting.splice(0).forEach((text) => socket.send(text)));
  socket.addEventListener("message", (event) => on.answer(JSON.parse(event.data)));
  socket.addEventListener("close", () => on.closed?.());
  return {
    send(message) {
      const text = JSON.stringify(message);
      if (socket.readyState === WebSocket.OPEN) socket.send(text);
      else waiting.push(text);
    },
    close: () => socket.close(),
  };
}
