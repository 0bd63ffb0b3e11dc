// How Live says figures and times. Pure.

export const DASH = '–';
const none = (value) => value === null || value === undefined || Number.isNaN(value);

export const rateOf = (rps) => (none(rps) ? DASH : rps >= 99.95 ? Math.round(rps).toLocaleString('en-US') : rps.toFixed(1));
export const errorsOf = (rate) => (none(rate) ? DASH : rate === 0 ? '0\u00a0%' : `${(100 * rate).toFixed(rate < 0.001 ? 2 : 1)}\u00a0%`);
export const millisOf = (ms) => (none(ms) ? DASH : ms >= 10_000 ? `${(ms / 1000).toFixed(1)}\u00a0s` : ms >= 99.95 ? `${Math.round(ms)}\u00a0ms` : `${ms.toFixed(ms < 9.995 ? 2 : 1)}\u00a0ms`);
export const countOf = (n) => (none(n) ? DASH : Math.round(n).toLocaleString('en-US'));

// A time that has passed, roughly: two of its units at most.
export function passed(ms) {
  const s = Math.max(0, Math.round(ms / 1000));
  if (s < 60) return `${s}\u00a0s`;
  if (s < 3600) return `${Math.floor(s / 60)}\u00a0min${s < 600 && s % 60 ? ` ${s % 60}\u00a0s` : ''}`;
  if (s < 86_400) return `${Math.floor(s / 3600)}\u00a0h ${Math.floor((s % 3600) / 60)}\u00a0min`;
  return `${Math.floor(s / 86_400)}\u00a0d ${Math.floor((s % 86_400) / 3600)}\u00a0h`;
}

const pad = (n) => String(n).padStart(2, '0');
export function clockOf(at) {
  const time = new Date(at);
  return `${pad(time.getHours())}:${pad(time.getMinutes())}:${pad(time.getSeconds())}`;
}
