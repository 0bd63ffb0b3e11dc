// The ring as a picture to take along, with a caption that says what it is.

import { pointAt, stretches } from '../shared/geometry.js';
import { PALETTES } from '../shared/palette.js';
import { colour, radii, shownOf } from '../shared/ring-base.js';
import { many, percent, ratio } from '../shared/words.js';

const [SIZE, CAPTION] = [720, 64];
// An SVG of more stretches is larger than a picture of them.
const STRETCHES_MAX = 20_000;

const escaped = (text) => text.replace(/[&<>"']/g, (letter) => `&#${letter.charCodeAt(0)};`)
  // XML has no words for these.
  .replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/g, '\ufffd');

export function caption({ view, key, walk }) {
  const { servers, nPoints, balance, virtualNodes } = view;
  return [
    `${many(servers.length, 'server')}, ${many(nPoints, 'point')} (${virtualNodes} a weight), peak ${ratio(balance.peak_to_mean)} × mean, spread ${percent(balance.cv)}`,
    `${walk?.server ? `${key} goes to ${walk.server}. ` : ''}Ring ${view.fingerprint}, drawn by Ringway`,
  ];
}

// A document of its own. `state` is the store's, `theme` one of PALETTES.
export function svgOf(state, theme) {
  const { view, slots, walk, pins } = state;
  const palette = PALETTES[theme];
  const at = radii(SIZE, false);
  const centre = { x: SIZE / 2, y: SIZE / 2 };
  const model = { slots, pins, servers: view.servers, walk };
  const all = stretches(view.keys.turns, view.keys.labels);
  const shown = all.length > STRETCHES_MAX ? new Set(shownOf(model)) : null;
  const place = (turn, radius) => {
    const { x, y } = pointAt(turn, radius, centre);
    return `${x.toFixed(2)} ${y.toFixed(2)}`;
  };
  const band = ([inner, outer], from, to, fill) => {
    if (to - from >= 1) {
      return `<circle cx="${centre.x}" cy="${centre.y}" r="${(inner + outer) / 2}" fill="none" stroke="${fill}" stroke-width="${outer - inner}"/>`;
    }
    const large = to - from > 0.5 ? 1 : 0;
    return `<path fill="${fill}" d="M${place(from, outer)}A${outer} ${outer} 0 ${large} 1 ${place(to, outer)}L${place(to, inner)}A${inner} ${inner} 0 ${large} 0 ${place(from, inner)}Z"/>`;
  };
  const fill = (label) => colour(model, label, palette) ?? palette.neutral;
  const parts = all.filter(({ label }) => shown === null || shown.has(label)).map(({ from, to, label }) => band(at.band, from, to, fill(label)));
  const ticks = view.points.turns.length > STRETCHES_MAX ? [] : Array.from(view.points.turns, (turn, i) =>
    `<path stroke="${fill(view.points.labels[i])}" d="M${place(turn, at.points[0])}L${place(turn, at.points[1])}"/>`);
  const key = walk === null ? '' : `<circle cx="${pointAt(walk.turn, at.way, centre).x}" cy="${pointAt(walk.turn, at.way, centre).y}" r="5.5" fill="${palette.background}" stroke="${palette.ink}" stroke-width="2"/>`;
  const lines = caption(state).map((line, i) => `<text x="${SIZE / 2}" y="${SIZE + 18 + 22 * i}" fill="${i === 0 ? palette.ink : palette.muted}">${escaped(line)}</text>`);
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${SIZE} ${SIZE + CAPTION}" font-family="system-ui, sans-serif" font-size="14" text-anchor="middle">
<title>${escaped(caption(state).join('. '))}</title>
<rect width="100%" height="100%" fill="${palette.background}"/>
${band(at.band, 0, 1, palette.neutral)}
${parts.join('\n')}
<g stroke-width="1">${ticks.join('')}</g>
${key}
${lines.join('\n')}
</svg>
`;
}

// What is on the canvases, with the caption below.
export async function pngOf(state, theme, canvases) {
  const palette = PALETTES[theme];
  const size = canvases[0].width;
  const scale = size / SIZE;
  const picture = new OffscreenCanvas(size, Math.round(size + CAPTION * scale));
  const context = picture.getContext('2d');
  context.fillStyle = palette.background;
  context.fillRect(0, 0, picture.width, picture.height);
  for (const canvas of canvases) context.drawImage(canvas, 0, 0);
  context.textAlign = 'center';
  caption(state).forEach((line, i) => {
    context.font = `${14 * scale}px system-ui, sans-serif`;
    context.fillStyle = i === 0 ? palette.ink : palette.muted;
    context.fillText(line, size / 2, size + (18 + 22 * i) * scale, size * 0.96);
  });
  return picture.convertToBlob({ type: 'image/png' });
}
