// Files: which ones are music, what lies in a dropped folder, and saving what the page made.

export const SCORES = [".mid", ".midi", ".kar", ".rmi", ".musicxml", ".xml", ".mxl", ".krn", ".abc"];
export const SOUNDS = [".wav", ".flac", ".ogg", ".mp3", ".aiff", ".aif"];

export const hasSuffix = (name, suffixes) => suffixes.some((suffix) => name.toLowerCase().endsWith(suffix));

// A file of a folder keeps its path in the folder: `path` is what the answer calls it.
const withPath = (file, path) => Object.assign(file, { path: path || file.webkitRelativePath || file.name });

async function walk(entry, path, found) {
  if (entry.isFile) {
    found.push(withPath(await new Promise((yes, no) => entry.file(yes, no)), path + entry.name));
    return;
  }
  const reader = entry.createReader();
  for (;;) {
    const some = await new Promise((yes, no) => reader.readEntries(yes, no)); // a hundred at a time
    if (!some.length) return;
    for (const child of some) await walk(child, `${path}${entry.name}/`, found);
  }
}

// Every file of a drop, folders walked down to their last file, in sorted order.
export async function dropped(transfer) {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  if (!entries.length) return [...transfer.files].map((file) => withPath(file));
  const found = [];
  for (const entry of entries) await walk(entry, "", found);
  return sorted(found);
}

export const chosen = (input) => sorted([...input.files].map((file) => withPath(file)));

const sorted = (files) => files.sort((a, b) => a.path.localeCompare(b.path, "en", { numeric: true }));

export function save(name, data, type = "application/json") {
  const url = URL.createObjectURL(data instanceof Blob ? data : new Blob([data], { type }));
  const link = Object.assign(document.createElement("a"), { href: url, download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

export const stem = (name) => String(name).split("/").pop().replace(/\.[^.]+$/, "");

const cell = (value) => {
  const text = String(value ?? "");
  const safe = /^[=+\-@\t\r]/.test(text) && Number.isNaN(Number(text)) ? `'${text}` : text; // a spreadsheet must not run it
  return /[",\n\r]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
};

export const csv = (rows) => rows.map((row) => row.map(cell).join(",")).join("\r\n") + "\r\n";
