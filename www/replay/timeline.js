// The timeline: how many requests came when, what happened when, where we are.

const RATIO_MAX = 3;

// How many requests fall in each of `n` equal parts of the time. The times ascend.
export function histogram(times, from, to, n) {
  const bins = new Uint32Array(n);
  const span = Math.max(1, to - from);
  for (const time of times) {
    if (time >= from && time <= to) bins[Math.min(n - 1, Math.floor(((time - from) / span) * n))] += 1;
  }
  return bins;
}

export function createTimeline(canvas) {
  let known = null;
  return {
    // `colours` { ink, muted, line, bad, accent }.
    show({ from, to, at, loop, times, events, colours }) {
      const ratio = Math.min(RATIO_MAX, devicePixelRatio || 1);
      const [width, height] = [canvas.clientWidth, canvas.clientHeight];
      if (canvas.width !== Math.round(width * ratio)) canvas.width = Math.round(width * ratio);
      if (canvas.height !== Math.round(height * ratio)) canvas.height = Math.round(height * ratio);
      const n = Math.max(1, Math.floor(width / 2));
      if (known?.times !== times || known.from !== from || known.to !== to || known.n !== n) known = { times, from, to, n, bins: histogram(times, from, to, n) };
      const context = canvas.getContext('2d');
      context.setTransform(ratio, 0, 0, ratio, 0, 0);
      context.clearRect(0, 0, width, height);
      const x = (time) => ((time - from) / Math.max(1, to - from)) * width;
      if (loop) {
        context.fillStyle = colours.line;
        context.fillRect(x(loop.from), 0, x(loop.to) - x(loop.from), height);
      }
      const most = known.bins.reduce((a, b) => Math.max(a, b), 1);
      context.fillStyle = colours.muted;
      known.bins.forEach((count, i) => {
        const tall = (count / most) * (height - 10);
        context.fillRect((i * width) / n, height - tall, Math.max(1, width / n - 0.5), tall);
      });
      for (const { at: time, tone } of events) {
        context.fillStyle = tone === 'bad' ? colours.bad : tone === 'good' ? colours.good : colours.ink;
        context.fillRect(x(time) - 0.75, 0, 1.5, 8);
      }
      context.fillStyle = colours.accent;
      context.fillRect(x(at) - 1, 0, 2, height);
    },
    timeAt(clientX, { from, to }) {
      const box = canvas.getBoundingClientRect();
      return from + ((clientX - box.left) / box.width) * (to - from);
    },
  };
}
