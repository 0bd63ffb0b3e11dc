// Reads access logs: lines of the common and the combined format, and lines of JSON. Pure: text in,
// times and keys out. One reader reads one log, in as many pieces as it comes in.

export const BYTES_MAX = 50 * 2 ** 20;
export const LINES_MAX = 1_000_000;
// So many lines are looked at to find out what a log is.
const SAMPLE_LINES = 50;
const SHOWN_MAX = 200;

const COMMON = /^(\S+) (\S+) (\S+) \[([^\]]+)\] "(?:([A-Z]+) )?([^"\s]*)[^"]*" (\d{3}|-) (\S+)(?: "((?:[^"\\]|\\.)*)" "((?:[^"\\]|\\.)*)")?/;
const CLF_TIME = /^(\d{2})\/([A-Z][a-z]{2})\/(\d{4}):(\d{2}):(\d{2}):(\d{2}) ([+-])(\d{2})(\d{2})$/;
const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];
const TIMES = ['time', 'timestamp', '@timestamp', 'time_iso8601', 'time_local', 'ts', 'msec', 'date', 'datetime', 'start_time'];
// The likeliest keys, by the names that logs give them.
const LIKELY = ['key', 'user', 'user_id', 'userId', 'session', 'x-ringway-key', 'client_ip', 'remote_addr', 'client', 'ip', 'path', 'uri', 'request_uri'];

function clfTime(text) {
  const [, day, month, year, hour, minute, second, sign, hours, minutes] = CLF_TIME.exec(text) ?? [];
  const number = MONTHS.indexOf(month);
  if (number < 0) return NaN;
  const offset = (sign === '-' ? -1 : 1) * (Number(hours) * 60 + Number(minutes)) * 60_000;
  return Date.UTC(Number(year), number, Number(day), Number(hour), Number(minute), Number(second)) - offset;
}

// A time in whatever a log has: a text, seconds or milliseconds.
function timeOf(value) {
  if (typeof value === 'number' || /^\d{9,}(\.\d+)?$/.test(value)) return Number(value) < 1e11 ? Number(value) * 1000 : Number(value);
  const time = clfTime(value);
  return Number.isNaN(time) ? Date.parse(value) : time;
}

// A line of the common or combined format as fields; null when it is none.
function commonFields(line) {
  const found = COMMON.exec(line);
  if (!found) return null;
  const [, client, , user, time, , target, , , referer, agent] = found;
  const fields = { client, user, uri: target, path: target.split('?')[0] };
  if (agent !== undefined) Object.assign(fields, { 'user agent': agent, referer });
  return { at: clfTime(time), fields };
}

// A line of JSON as fields; those inside others by their path, as `user.id`.
function jsonFields(line) {
  let object;
  try {
    object = JSON.parse(line);
  } catch {
    return null;
  }
  if (typeof object !== 'object' || object === null || Array.isArray(object)) return null;
  const fields = {};
  const gather = (part, prefix, depth) => {
    for (const [name, value] of Object.entries(part)) {
      if (typeof value === 'string' || typeof value === 'number') fields[prefix + name] = String(value);
      else if (depth < 3 && typeof value === 'object' && value !== null && !Array.isArray(value)) gather(value, `${prefix}${name}.`, depth + 1);
    }
  };
  gather(object, '', 0);
  const name = TIMES.find((one) => Object.hasOwn(fields, one));
  return { at: name === undefined ? NaN : timeOf(typeof object[name] === 'number' ? object[name] : fields[name]), fields };
}

const FORMATS = { common: commonFields, json: jsonFields };

// What the log that begins with `text` is: { format, fields: [{ name, example, distinct }], field }; null when it is none
// that is known. `field` is the likeliest key.
export function recognise(text) {
  const lines = text.split('\n', SAMPLE_LINES + 1).slice(0, SAMPLE_LINES).filter((line) => line.trim() !== '');
  const reads = Object.entries(FORMATS).map(([format, read]) => ({ format, found: lines.map(read).filter((one) => one && !Number.isNaN(one.at)) }));
  const { format, found } = reads.reduce((best, one) => (one.found.length > best.found.length ? one : best));
  if (found.length === 0) return null;
  const values = new Map();
  for (const { fields } of found) {
    for (const [name, value] of Object.entries(fields)) values.set(name, (values.get(name) ?? new Set()).add(value));
  }
  const fields = [...values].map(([name, all]) => ({ name, example: [...all][0].slice(0, 60), distinct: all.size }));
  const likely = LIKELY.find((name) => values.has(name) && [...values.get(name)][0] !== '-');
  return { format: format === 'common' && values.has('user agent') ? 'combined' : format, fields, field: likely ?? fields[0].name };
}

// Reads a log in pieces: `push(text)` as they come, then `end()` answers with
//   { times, ids, keys, rejected, firstBad: { line, text }, isCut }
// by time: the n-th request came at times[n], in milliseconds, with the key keys[ids[n]].
export function createReader({ format, field }, { linesMax = LINES_MAX, bytesMax = BYTES_MAX } = {}) {
  const read = FORMATS[format === 'json' ? 'json' : 'common'];
  const known = new Map();
  const keys = [];
  let [times, ids] = [new Float64Array(1024), new Uint32Array(1024)];
  let [n, nLines, nBytes, rejected] = [0, 0, 0, 0];
  let rest = '';
  let firstBad = null;
  let isCut = false;

  function take(line) {
    nLines += 1;
    if (line.trim() === '') return;
    const found = read(line);
    const key = found?.fields[field];
    if (key === undefined || Number.isNaN(found.at)) {
      rejected += 1;
      firstBad ??= { line: nLines, text: line.slice(0, SHOWN_MAX), why: !found ? `not a line of ${format}` : Number.isNaN(found.at) ? 'it has no time' : `it has no ${field}` };
      return;
    }
    if (n === times.length) {
      times = grown(times, Float64Array);
      ids = grown(ids, Uint32Array);
    }
    let id = known.get(key);
    if (id === undefined) {
      id = keys.length;
      known.set(key, id);
      keys.push(key);
    }
    times[n] = found.at;
    ids[n] = id;
    n += 1;
  }

  return {
    // How many lines there were.
    get lines() {
      return nLines;
    },
    // Whether it takes no more, since it is larger than may be.
    get isFull() {
      return isCut;
    },
    push(text) {
      if (isCut) return;
      nBytes += text.length;
      const lines = (rest + text).split('\n');
      rest = lines.pop();
      for (const line of lines) {
        if (nLines >= linesMax) {
          isCut = true;
          rest = '';
          return;
        }
        take(line);
      }
      if (nBytes > bytesMax) isCut = true;
    },
    end() {
      if (rest !== '' && !isCut) take(rest);
      const order = Uint32Array.from({ length: n }, (_, i) => i);
      // Logs are written when requests end, so that some are late.
      if (times.subarray(0, n).some((time, i) => i > 0 && time < times[i - 1])) order.sort((a, b) => times[a] - times[b] || a - b);
      return { times: Float64Array.from(order, (i) => times[i]), ids: Uint32Array.from(order, (i) => ids[i]), keys, rejected, firstBad, isCut, nLines };
    },
  };
}

function grown(array, Type) {
  const larger = new Type(array.length * 2);
  larger.set(array);
  return larger;
}
