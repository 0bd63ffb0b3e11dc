// The colours of servers, for a light and a dark background. Twelve that stay apart for people
// with any of the three colour blindnesses (at least 11 by CIEDE2000), each with a contrast
// of at least 3 to its background; slots 12 to 23 are the same, hatched. Colour is never the only
// sign: names and numbers stand beside it. tests/page/palette.test.mjs holds all of this.

export const N_COLOURS = 12;
// More servers than this are not told apart by colour at all: only those picked out are coloured.
export const N_SLOTS = 24;

export const PALETTES = {
  light: {
    background: '#ffffff',
    servers: [
      '#1f78a5', '#d67620', '#829b76', '#b04047', '#0f424e', '#ac889a',
      '#2594ff', '#4d4a00', '#280183', '#856270', '#4b2725', '#0200f6',
    ],
    neutral: '#c9d0d8', out: '#a3acb7', ink: '#15191e', muted: '#59636f', line: '#dde2e8',
  },
  dark: {
    background: '#12161c',
    servers: [
      '#2970b3', '#ffca3e', '#97c0a8', '#e80040', '#60ecf3', '#b48eaa',
      '#988af2', '#a2a600', '#f1397f', '#8e6769', '#656926', '#d0e7b7',
    ],
    neutral: '#3a444f', out: '#5b6672', ink: '#e9edf1', muted: '#9ca7b3', line: '#2a323b',
  },
};

export const colourOf = (slot) => slot % N_COLOURS;
export const isHatched = (slot) => slot >= N_COLOURS;

// The lowest slot nobody has; null when all are taken. Slots stay with their server, so that
// removing one server recolours nobody.
export function freeSlot(taken) {
  for (let slot = 0; slot < N_SLOTS; slot++) if (!taken.has(slot)) return slot;
  return null;
}

// Contrast of two colours by WCAG 2: 1 to 21.
export function contrast(a, b) {
  const [low, high] = [luminance(a), luminance(b)].sort((x, y) => x - y);
  return (high + 0.05) / (low + 0.05);
}

function luminance(hex) {
  const [r, g, b] = [1, 3, 5].map((at) => {
    const part = Number.parseInt(hex.slice(at, at + 2), 16) / 255;
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}
