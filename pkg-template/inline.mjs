// Wasm as a JavaScript module. Base64 would spoil it for compression: its letters stand across the
// borders of bytes, so that what repeats in the wasm hardly does in the text (a third more, after
// brotli). Here a byte is always the same one or two letters: the most frequent bytes are one
// letter, the others two, of which the first is one of the last letters of the alphabet. What reads
// them is a few bytes of wasm themselves: it is as fast at once as JavaScript is after a while.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

const { resolve } = createRequire(join(import.meta.dirname, '../tests/'));
const { default: binaryen } = await import(pathToFileURL(resolve('binaryen')));

const LETTERS = Array.from({ length: 95 }, (_, i) => String.fromCharCode(32 + i)).filter((letter) => letter !== "'" && letter !== '\\');
const N_PREFIXES = 2;
const N_SHORT = LETTERS.length - N_PREFIXES;
// Of letters.wat: what stands before the text; of WebAssembly: a page of memory.
const TABLES = 384;
const PAGE = 65_536;

/** The text of a module whose default export gives these bytes. */
export function inlined(bytes) {
  const counts = Array(256).fill(0);
  for (const byte of bytes) counts[byte] += 1;
  const byCount = Array.from(counts.keys()).sort((a, b) => counts[b] - counts[a] || a - b);
  const short = byCount.slice(0, N_SHORT).sort((a, b) => a - b);
  const long = byCount.slice(N_SHORT).sort((a, b) => a - b);

  const codes = Array(256);
  short.forEach((byte, i) => { codes[byte] = LETTERS[i]; });
  long.forEach((byte, i) => { codes[byte] = LETTERS[N_SHORT + Math.floor(i / LETTERS.length)] + LETTERS[i % LETTERS.length]; });
  const text = Array.from(bytes, (byte) => codes[byte]).join('');
  const program = assembled();

  return `// The bytes of lb_bg.wasm, each as one or two letters: see pkg-template/inline.mjs.
const short = ${JSON.stringify(short)};
const program = '${program}';
export default () => {
  const memory = new WebAssembly.Memory({ initial: ${Math.ceil((TABLES + text.length) / PAGE)} });
  const bytes = new Uint8Array(memory.buffer);
  const letters = [...Array(127).keys()].filter((code) => code > 31 && code !== 39 && code !== 92);
  [...short, ...Array(256).keys()].filter((byte, i) => i < ${N_SHORT} || !short.includes(byte)).forEach((byte, i) => {
    const rest = i - ${N_SHORT};
    bytes[rest < 0 ? letters[i] : ((rest / ${LETTERS.length} + 1) << 7) + letters[rest % ${LETTERS.length}]] = byte;
  });
  new TextEncoder().encodeInto(text, bytes.subarray(${TABLES}));
  const decoder = new WebAssembly.Module(Uint8Array.from(atob(program), (letter) => letter.charCodeAt(0)));
  new WebAssembly.Instance(decoder, { '': { m: memory } }).exports.d(${TABLES}, ${TABLES} + text.length);
  return bytes.subarray(${TABLES}, ${TABLES + bytes.length});
};
const text = '${text}';
`;
}

// What turns letters back into bytes, assembled.
function assembled() {
  const module = binaryen.parseText(readFileSync(join(import.meta.dirname, 'letters.wat'), 'utf8'));
  module.optimize();
  return Buffer.from(module.emitBinary()).toString('base64');
}
