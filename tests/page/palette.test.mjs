// Colours that can be seen, and told apart by everybody.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { N_COLOURS, N_SLOTS, PALETTES, colourOf, contrast, freeSlot, isHatched } from '../../www/shared/palette.js';

// Linear light of a colour, 0..1.
const light = (hex) => [1, 3, 5].map((at) => {
  const part = Number.parseInt(hex.slice(at, at + 2), 16) / 255;
  return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
});

// How colours look without one kind of cones: Machado, Oliveira and Fernandes, «A physiologically
// based model for simulation of color vision deficiency», 2009, severity 1.
const VISIONS = {
  usual: [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
  protanopia: [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
  deuteranopia: [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]],
  tritanopia: [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.3039]],
};
const apply = (matrix, rgb) => matrix.map((row) => Math.min(1, Math.max(0, row.reduce((sum, value, i) => sum + value * rgb[i], 0))));

function lab(rgb) {
  const xyz = apply3([[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.072175], [0.0193339, 0.119192, 0.9503041]], rgb);
  const [x, y, z] = [xyz[0] / 0.95047, xyz[1], xyz[2] / 1.08883].map((t) => (t > 0.008856 ? Math.cbrt(t) : 7.787 * t + 16 / 116));
  return [116 * y - 16, 500 * (x - y), 200 * (y - z)];
}
const apply3 = (matrix, rgb) => matrix.map((row) => row.reduce((sum, value, i) => sum + value * rgb[i], 0));

// CIEDE2000, after Sharma, Wu and Dalal, 2005.
function distance([l1, a1, b1], [l2, a2, b2]) {
  const rad = Math.PI / 180;
  const mean = (Math.hypot(a1, b1) + Math.hypot(a2, b2)) / 2;
  const g = 0.5 * (1 - Math.sqrt(mean ** 7 / (mean ** 7 + 25 ** 7)));
  const [x1, x2] = [a1 * (1 + g), a2 * (1 + g)];
  const [c1, c2] = [Math.hypot(x1, b1), Math.hypot(x2, b2)];
  const hue = (x, b) => (x === 0 && b === 0 ? 0 : (Math.atan2(b, x) / rad + 360) % 360);
  const [h1, h2] = [hue(x1, b1), hue(x2, b2)];
  let turn = c1 * c2 === 0 ? 0 : h2 - h1;
  if (turn > 180) turn -= 360;
  if (turn < -180) turn += 360;
  const dh = 2 * Math.sqrt(c1 * c2) * Math.sin((turn / 2) * rad);
  const [l, c] = [(l1 + l2) / 2, (c1 + c2) / 2];
  let h = h1 + h2;
  if (c1 * c2 !== 0) h = Math.abs(h1 - h2) <= 180 ? h / 2 : h < 360 ? (h + 360) / 2 : (h - 360) / 2;
  const t = 1 - 0.17 * Math.cos((h - 30) * rad) + 0.24 * Math.cos(2 * h * rad) + 0.32 * Math.cos((3 * h + 6) * rad) - 0.2 * Math.cos((4 * h - 63) * rad);
  const sl = 1 + (0.015 * (l - 50) ** 2) / Math.sqrt(20 + (l - 50) ** 2);
  const [sc, sh] = [1 + 0.045 * c, 1 + 0.015 * c * t];
  const rt = -2 * Math.sqrt(c ** 7 / (c ** 7 + 25 ** 7)) * Math.sin(60 * Math.exp(-(((h - 275) / 25) ** 2)) * rad);
  const [dl, dc] = [l2 - l1, c2 - c1];
  return Math.sqrt((dl / sl) ** 2 + (dc / sc) ** 2 + (dh / sh) ** 2 + rt * (dc / sc) * (dh / sh));
}

test('the distance of colours is computed right', () => {
  // Two of the published pairs.
  assert.ok(Math.abs(distance([50, 2.6772, -79.7751], [50, 0, -82.7485]) - 2.0425) < 1e-4);
  assert.ok(Math.abs(distance([90.8027, -2.0831, 1.441], [91.1528, -1.6435, 0.0447]) - 1.4441) < 1e-4);
});

for (const [theme, palette] of Object.entries(PALETTES)) {
  test(`${theme}: servers are seen on the background, and text is readable`, () => {
    assert.equal(palette.servers.length, N_COLOURS);
    for (const colour of palette.servers) assert.ok(contrast(colour, palette.background) >= 3, `${colour}: ${contrast(colour, palette.background)}`);
    for (const name of ['ink', 'muted']) assert.ok(contrast(palette[name], palette.background) >= 4.5, `${name}: ${contrast(palette[name], palette.background)}`);
  });

  for (const [vision, matrix] of Object.entries(VISIONS)) {
    test(`${theme}: any two servers are told apart, ${vision}`, () => {
      const seen = palette.servers.map((colour) => lab(apply(matrix, light(colour))));
      for (let i = 0; i < seen.length; i++) {
        for (let j = 0; j < i; j++) {
          const apart = distance(seen[i], seen[j]);
          assert.ok(apart >= 11, `${palette.servers[i]} and ${palette.servers[j]}: ${apart.toFixed(1)}`);
        }
      }
    });
  }
}

test('contrast is that of WCAG', () => {
  assert.equal(contrast('#000000', '#ffffff'), 21);
  assert.ok(Math.abs(contrast('#777777', '#ffffff') - 4.48) < 0.01);
});

test('slots are given from the lowest, and run out', () => {
  assert.equal(freeSlot(new Set()), 0);
  assert.equal(freeSlot(new Set([0, 1, 3])), 2);
  assert.equal(freeSlot(new Set(Array.from({ length: N_SLOTS }, (_, i) => i))), null);
  assert.deepEqual([colourOf(13), isHatched(13), isHatched(11)], [1, true, false]);
});
