// The table as a file for a spreadsheet (RFC 4180). Pure.

const COLUMNS = {
  name: ({ name }) => name,
  address: ({ address, port }) => `${address}:${port}`,
  standing: ({ standing }) => standing,
  since: ({ since }) => new Date(since).toISOString(),
  weight: ({ weight }) => weight,
  share_expected: ({ share }) => share.expected,
  share_actual: ({ share }) => share.actual,
  rps: ({ rps }) => rps,
  error_rate: ({ errorRate }) => errorRate,
  p50_ms: ({ p50 }) => p50,
  p99_ms: ({ p99 }) => p99,
  in_flight: ({ inFlight }) => inFlight,
  last_probe: ({ probe }) => probe && (probe.ok ? 'ok' : probe.why),
};

// Spreadsheets compute texts that begin so, and names come from anywhere.
const FORMULA = /^[=+\-@\t\r]/;

function cell(value) {
  if (value === null || value === undefined || Number.isNaN(value)) return '';
  if (typeof value === 'number') return String(value);
  const safe = FORMULA.test(value) ? `'${value}` : value;
  return /[",\r\n]/.test(safe) || safe !== value ? `"${safe.replaceAll('"', '""')}"` : safe;
}

export function csv(servers) {
  const rows = servers.map((server) => Object.values(COLUMNS).map((of) => cell(of(server))).join(','));
  return [Object.keys(COLUMNS).join(','), ...rows, ''].join('\r\n');
}
