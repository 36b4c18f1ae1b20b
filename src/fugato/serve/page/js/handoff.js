// What one view hands to the next: the seed that Compose goes on from.

let seed = null;

export function giveSeed(file) {
  seed = file;
}

export function takeSeed() {
  const given = seed;
  seed = null;
  return given;
}
