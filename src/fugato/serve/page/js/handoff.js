// What one view hands to the next: the file that Compose goes on from, and how many of its bars are kept; all where none are told.

let seed = null;

export function giveSeed(file, bars = null) {
  seed = { file, bars };
}

export function takeSeed() {
  const given = seed;
  seed = null;
  return given;
}
