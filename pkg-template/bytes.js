// How values cross to the engine and back: as bytes, which src/wasm/tree.rs and src/wasm/answer.rs
// describe. JavaScript has numbers and text; the engine need not know how they are written.
const NULL = 0;
const FALSE = 1;
const TRUE = 2;
const WHOLE = 3;
const NUMBER = 4;
const TEXT = 5;
const LIST = 6;
const OBJECT = 7;
const NEW_NAME = 255;

// No value needs more bytes for each character of its JSON, but for the shortest.
const BYTES_PER_CHAR_MAX = 3;
const BYTES_MIN = 16;
// How deep values may be: the engine reads them by recursion.
const DEPTH_MAX = 128;

const encoder = new TextEncoder();
const decoder = new TextDecoder('utf-8', { ignoreBOM: true });

/** The bytes of what a JSON text says; names stand in order. Throws a `RangeError` when it is too deep. */
export function toBytes(json) {
  const bytes = new Uint8Array(json.length * BYTES_PER_CHAR_MAX + BYTES_MIN);
  const view = new DataView(bytes.buffer);
  let at = 0;
  const head = (kind, count) => {
    bytes[at] = kind;
    view.setUint32(at + 1, count, true);
    at += 5;
  };
  const text = (value) => {
    const { written } = encoder.encodeInto(value, bytes.subarray(at + 5));
    head(TEXT, written);
    at += written;
  };
  const write = (value, depth) => {
    if (depth > DEPTH_MAX) throw new RangeError(`it is deeper than ${DEPTH_MAX} levels`);
    if (typeof value === 'string') text(value);
    else if (typeof value === 'number') {
      if (value >>> 0 === value) head(WHOLE, value);
      else {
        bytes[at] = NUMBER;
        view.setFloat64(at + 1, value, true);
        at += 9;
      }
    } else if (Array.isArray(value)) {
      head(LIST, value.length);
      for (const item of value) write(item, depth + 1);
    } else if (value !== null && typeof value === 'object') {
      const names = Object.keys(value).sort();
      head(OBJECT, names.length);
      for (const name of names) {
        text(name);
        write(value[name], depth + 1);
      }
    } else {
      bytes[at] = value === null ? NULL : value ? TRUE : FALSE;
      at += 1;
    }
  };
  write(JSON.parse(json), 1);
  return bytes.subarray(0, at);
}

/** The value that the engine wrote. */
export function fromBytes(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  const texts = decoder.decode(bytes.subarray(view.getUint32(0, true)));
  const names = [];
  let at = 4;
  let from = 0;
  const count = () => view.getUint32((at += 4) - 4, true);
  const text = () => texts.slice(from, (from += count()));
  const read = () => {
    switch (bytes[at++]) {
      case FALSE: return false;
      case TRUE: return true;
      case WHOLE: return count();
      case NUMBER: return view.getFloat64((at += 8) - 8, true);
      case TEXT: return text();
      case LIST: return Array.from({ length: count() }, read);
      case OBJECT: {
        const object = {};
        for (let left = count(); left > 0; left -= 1) {
          let name = bytes[at++];
          if (name === NEW_NAME) name = names.push(text()) - 1;
          object[names[name]] = read();
        }
        return object;
      }
      default: return null;
    }
  };
  return read();
}
