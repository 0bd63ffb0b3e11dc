// Where a replay is, and how it goes on. Pure: time passes when `pass` says so.

export const SPEEDS = [0.25, 0.5, 1, 2, 4, 8, 16, 32, 64];

export function createClock() {
  let [from, to, at, speed, isPlaying, loop] = [0, 0, 0, 1, false, null];
  const within = (time) => Math.min(to, Math.max(from, time));

  return {
    get from() { return from; },
    get to() { return to; },
    get at() { return at; },
    get speed() { return speed; },
    get isPlaying() { return isPlaying; },
    // { from, to }, in which it goes round; null for none.
    get loop() { return loop; },
    // Begins with another stretch of time.
    span(start, end) {
      [from, to, at, isPlaying, loop] = [start, Math.max(start, end), start, false, null];
    },
    goTo(time) {
      at = within(time);
    },
    setSpeed(value) {
      if (SPEEDS.includes(value)) speed = value;
    },
    play() {
      if (at >= (loop?.to ?? to)) at = loop?.from ?? from;
      isPlaying = to > from;
    },
    pause() {
      isPlaying = false;
    },
    setLoop(range) {
      loop = range && range.to > range.from ? { from: within(range.from), to: within(range.to) } : null;
    },
    // So many milliseconds have passed before the screen.
    pass(ms) {
      if (!isPlaying) return;
      const end = loop?.to ?? to;
      at += ms * speed;
      if (at < end) return;
      if (loop) {
        at = loop.from + ((at - loop.from) % (loop.to - loop.from));
      } else {
        at = end;
        isPlaying = false;
      }
    },
  };
}

// The part of the address: position, speed and loop, and which story.
export function formatPosition({ story, at, speed, loop }) {
  const parts = [...(story === null ? [] : [`story=${story}`]), `at=${new Date(at).toISOString()}`, ...(speed === 1 ? [] : [`speed=${speed}`])];
  if (loop) parts.push(`loop=${new Date(loop.from).toISOString()}~${new Date(loop.to).toISOString()}`);
  return parts.join('&');
}

export function parsePosition(rest) {
  const query = new URLSearchParams(rest);
  const time = (text) => {
    const value = Date.parse(text ?? '');
    return Number.isNaN(value) ? null : value;
  };
  const [from, to] = (query.get('loop') ?? '').split('~').map(time);
  return {
    story: query.get('story'),
    at: time(query.get('at')),
    speed: SPEEDS.includes(Number(query.get('speed'))) ? Number(query.get('speed')) : 1,
    loop: from !== null && to !== undefined && to !== null && to > from ? { from, to } : null,
  };
}
