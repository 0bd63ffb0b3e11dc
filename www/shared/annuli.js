// Rings of one middle, painted pixel by pixel from cells of the circle. Which cell a pixel is of
// never changes, so it is worked out once for each size; after that a picture costs the same
// however many points are in it.

const TURN = 2 * Math.PI;

export class Annuli {
  #image;
  #bytes;
  // Of each pixel that is of a ring: where its bytes are, its cell among those of all rings, and
  // how much of it is inside.
  #offsets;
  #places;
  #inside;

  // `size` in pixels; `rings` are [inner, outer] radii in pixels; each has `n` cells.
  constructor(size, rings, n) {
    this.size = size;
    this.n = n;
    this.#image = new ImageData(size, size);
    this.#bytes = this.#image.data;
    const [offsets, places, inside] = [[], [], []];
    const centre = size / 2;
    for (let y = 0; y < size; y++) {
      const dy = y + 0.5 - centre;
      for (let x = 0; x < size; x++) {
        const dx = x + 0.5 - centre;
        const radius = Math.hypot(dx, dy);
        for (let ring = 0; ring < rings.length; ring++) {
          const [inner, outer] = rings[ring];
          const part = Math.min(1, radius - inner + 0.5, outer - radius + 0.5);
          if (part <= 0) continue;
          const turn = (Math.atan2(dy, dx) / TURN + 1.25) % 1;
          offsets.push(4 * (y * size + x));
          places.push(4 * (ring * n + Math.min(n - 1, Math.floor(turn * n))));
          inside.push(part);
          break;
        }
      }
    }
    this.#offsets = Uint32Array.from(offsets);
    this.#places = Uint32Array.from(places);
    this.#inside = Float32Array.from(inside);
  }

  // Paints onto `canvas` in place of what is there. `colours` has red, green, blue and alpha (0..255)
  // of each cell of each ring.
  paint(canvas, colours) {
    const [bytes, offsets, places, inside] = [this.#bytes, this.#offsets, this.#places, this.#inside];
    for (let i = 0; i < offsets.length; i++) {
      const [to, from] = [offsets[i], places[i]];
      bytes[to] = colours[from];
      bytes[to + 1] = colours[from + 1];
      bytes[to + 2] = colours[from + 2];
      bytes[to + 3] = colours[from + 3] * inside[i];
    }
    canvas.getContext('2d').putImageData(this.#image, 0, 0);
  }
}

export const rgb = (hex) => [1, 3, 5].map((at) => Number.parseInt(hex.slice(at, at + 2), 16));

// The colour of each of `n` cells, mixed of colours by how much of the cell each has, over `ground`:
// [{ cells, colour }], colours as [red, green, blue]. What is left shows the ground.
export function mixed(n, ground, layers, out, at) {
  for (let i = 0; i < n; i++) {
    let [red, green, blue, left] = [0, 0, 0, 1];
    for (const { cells, colour } of layers) {
      const part = Math.min(left, cells[i]);
      red += part * colour[0];
      green += part * colour[1];
      blue += part * colour[2];
      left -= part;
    }
    const to = at + 4 * i;
    out[to] = red + left * ground[0];
    out[to + 1] = green + left * ground[1];
    out[to + 2] = blue + left * ground[2];
    out[to + 3] = 255;
  }
}
