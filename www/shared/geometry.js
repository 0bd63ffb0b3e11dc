// Where things are drawn. Pure: turns in (a position as a fraction 0..1 of the ring, made by the
// engine), places on the screen out. Knows neither the DOM nor what a server is.

const TURN = 2 * Math.PI;

// The canvas angle of a turn: 0 is at twelve o'clock, and the ring runs clockwise.
export const angle = (turn) => turn * TURN - TURN / 4;

// The place of a turn on a circle around `centre`.
export function pointAt(turn, radius, centre) {
  const a = angle(turn);
  return { x: centre.x + radius * Math.cos(a), y: centre.y + radius * Math.sin(a) };
}

// The turn (0 <= turn < 1) under a place, and its distance from `centre`.
export function turnAt(x, y, centre) {
  const [dx, dy] = [x - centre.x, y - centre.y];
  const turn = (Math.atan2(dy, dx) / TURN + 1.25) % 1;
  return { turn, distance: Math.hypot(dx, dy) };
}

// Which arc a turn lies in: the first one that ends at or after it, wrapping to the first.
// `turns` are the arcs' ends, ascending. -1 when there are none.
export function arcAt(turns, turn) {
  if (turns.length === 0) return -1;
  let [low, high] = [0, turns.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (turns[middle] < turn) low = middle + 1;
    else high = middle;
  }
  return low === turns.length ? 0 : low;
}

// Where arc `i` begins, as a turn; the first one begins before 0, where the last one ends.
export const arcStart = (turns, i) => (i === 0 ? turns[turns.length - 1] - 1 : turns[i - 1]);

// Neighbouring arcs with one label, joined: [{ from, to, label }], `from` below 0 where it wraps.
export function stretches(turns, labels) {
  const out = [];
  for (let i = 0; i < turns.length; i++) {
    const last = out[out.length - 1];
    if (last && last.label === labels[i]) last.to = turns[i];
    else out.push({ from: arcStart(turns, i), to: turns[i], label: labels[i] });
  }
  // The last one goes on in the first.
  if (out.length > 1 && out[0].label === out[out.length - 1].label) out[0].from = out.pop().from - 1;
  return out;
}

// The stretches of one label only.
export function stretchesOf(turns, labels, label) {
  const out = [];
  for (let i = 0; i < turns.length; i++) {
    if (labels[i] !== label) continue;
    const last = out[out.length - 1];
    if (last && i > 0 && labels[i - 1] === label) last.to = turns[i];
    else out.push({ from: arcStart(turns, i), to: turns[i], label });
  }
  return out;
}

// Which stretches look different in two pictures: [{ from, to, before, after }]. A picture is
// { turns, labels }. For painting the difference; how much it is, the engine says.
export function differences(before, after) {
  const out = [];
  const [n, m] = [before.turns.length, after.turns.length];
  if (n === 0 || m === 0) return out;
  let from = Math.max(before.turns[n - 1], after.turns[m - 1]) - 1;
  let [i, j] = [0, 0];
  while (i < n || j < m) {
    const to = Math.min(i < n ? before.turns[i] : 1, j < m ? after.turns[j] : 1);
    const was = before.labels[i % n];
    const is = after.labels[j % m];
    if (to > from && was !== is) {
      const last = out[out.length - 1];
      if (last && last.to === from && last.before === was && last.after === is) last.to = to;
      else out.push({ from, to, before: was, after: is });
    }
    while (i < n && before.turns[i] <= to) i += 1;
    while (j < m && after.turns[j] <= to) j += 1;
    from = to;
  }
  return out;
}

// How much of each of `n` equal cells of the circle some stretches cover: 0..1 for each cell.
export function coverage(parts, n) {
  const cells = new Float32Array(n);
  const add = (from, to) => {
    const [a, b] = [from * n, to * n];
    const [first, last] = [Math.floor(a), Math.min(n - 1, Math.floor(b))];
    if (first === last) {
      cells[first] += b - a;
      return;
    }
    cells[first] += first + 1 - a;
    for (let cell = first + 1; cell < last; cell++) cells[cell] += 1;
    cells[last] += b - last;
  };
  for (const { from, to } of parts) {
    if (from < 0) {
      add(from + 1, 1);
      add(0, to);
    } else {
      add(from, to);
    }
  }
  return cells;
}

// How much can be told apart at this size: by points for each device pixel of the circumference.
//   'ticks'      every arc and every point is drawn for itself
//   'fine'       arcs are drawn for themselves; points run together
//   'condensed'  several points share a pixel: cells of the circle are drawn
export function detail(nPoints, radius, ratio) {
  const perPixel = nPoints / (TURN * radius * ratio);
  return { perPixel, level: perPixel < 0.25 ? 'ticks' : perPixel < 1 ? 'fine' : 'condensed' };
}
