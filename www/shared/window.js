// A window of the ring: { from: [upper, lower], length }. Places are two halves of 32 bits, since a
// number is not exact to the last of 64; lengths are numbers of units, exact where they are short.

const HALF = 2 ** 32;
export const WHOLE = HALF * HALF;
export const ALL = { from: [0, 0], length: WHOLE };

// From `from` clockwise to the place (upper, lower): 0 to less than the whole ring.
export function distance([fromUpper, fromLower], upper, lower) {
  const units = (upper - fromUpper) * HALF + (lower - fromLower);
  return units < 0 ? units + WHOLE : units;
}

// The place so many units clockwise of another; fewer than none is the other way round.
export function shift([upper, lower], units) {
  const whole = Math.floor(units);
  const high = Math.floor(whole / HALF);
  const sum = lower + (whole - high * HALF);
  const carry = Math.floor(sum / HALF);
  const wrapped = (upper + high + carry) % HALF;
  return [wrapped < 0 ? wrapped + HALF : wrapped, sum - carry * HALF];
}

// The window in which what stood `at` (0..1) of this one stands there still, and everything is
// `factor` times as wide; no shorter than `least` units.
export function zoomed({ from, length }, factor, at, least) {
  const next = Math.min(WHOLE, Math.max(least, length / factor));
  if (next === WHOLE) return ALL;
  return { from: shift(from, at * (length - next)), length: next };
}

// The same window further on, by a part of its length.
export function moved({ from, length }, by) {
  return length === WHOLE ? ALL : { from: shift(from, by * length), length };
}

// The window of this length with (upper, lower) in the middle.
export function around([upper, lower], length) {
  return length >= WHOLE ? ALL : { from: shift([upper, lower], -length / 2), length };
}

export const hexOf = ([upper, lower]) => upper.toString(16).padStart(8, '0') + lower.toString(16).padStart(8, '0');
export const halvesOf = (hex) => [Number.parseInt(hex.slice(0, 8), 16), Number.parseInt(hex.slice(8), 16)];
