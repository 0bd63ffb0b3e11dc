// Wasm as a JavaScript module. Base64 would spoil it for compression: its letters stand across the
// borders of bytes, so that what repeats in the wasm hardly does in the text (a third more, after
// brotli). Here a byte is always the same one or two letters: the most frequent bytes are one
// letter, the others two, of which the first is one of the last letters of the alphabet.
const LETTERS = Array.from({ length: 95 }, (_, i) => String.fromCharCode(32 + i)).filter((letter) => letter !== "'" && letter !== '\\');
const N_PREFIXES = 2;
const N_SHORT = LETTERS.length - N_PREFIXES;

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

  return `// The bytes of lb_bg.wasm, each as one or two letters: see pkg-template/inline.mjs.
const short = ${JSON.stringify(short)};
const letter = (at) => { const code = text.charCodeAt(at) - 32; return code - (code > 7) - (code > 60); };
export default () => {
  const bytes = new Uint8Array(${bytes.length});
  const all = [...short, ...Array(256).keys()].filter((byte, i) => i < ${N_SHORT} || !short.includes(byte));
  for (let i = 0, at = 0; i < bytes.length; i += 1, at += 1) {
    const code = letter(at);
    bytes[i] = all[code < ${N_SHORT} ? code : ${N_SHORT} + (code - ${N_SHORT}) * ${LETTERS.length} + letter(at += 1)];
  }
  return bytes;
};
const text = '${text}';
`;
}
