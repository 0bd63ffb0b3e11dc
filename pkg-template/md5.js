// MD5 (RFC 1321) of a text's UTF-8 bytes. Own code, since it is needed at once and everywhere: the
// runtimes' own cryptography answers later, or is Node's alone.

const SHIFTS = [7, 12, 17, 22, 5, 9, 14, 20, 4, 11, 16, 23, 6, 10, 15, 21];
// The table T of the RFC, in which sines are cut down to whole numbers; given and not computed,
// because sines may differ between runtimes.
const SINES = Int32Array.of(
  0xd76aa478, 0xe8c7b756, 0x242070db, 0xc1bdceee, 0xf57c0faf, 0x4787c62a, 0xa8304613, 0xfd469501,
  0x698098d8, 0x8b44f7af, 0xffff5bb1, 0x895cd7be, 0x6b901122, 0xfd987193, 0xa679438e, 0x49b40821,
  0xf61e2562, 0xc040b340, 0x265e5a51, 0xe9b6c7aa, 0xd62f105d, 0x02441453, 0xd8a1e681, 0xe7d3fbc8,
  0x21e1cde6, 0xc33707d6, 0xf4d50d87, 0x455a14ed, 0xa9e3e905, 0xfcefa3f8, 0x676f02d9, 0x8d2a4c8a,
  0xfffa3942, 0x8771f681, 0x6d9d6122, 0xfde5380c, 0xa4beea44, 0x4bdecfa9, 0xf6bb4b60, 0xbebfbc70,
  0x289b7ec6, 0xeaa127fa, 0xd4ef3085, 0x04881d05, 0xd9d4d039, 0xe6db99e5, 0x1fa27cf8, 0xc4ac5665,
  0xf4292244, 0x432aff97, 0xab9423a7, 0xfc93a039, 0x655b59c3, 0x8f0ccc92, 0xffeff47d, 0x85845dd1,
  0x6fa87e4f, 0xfe2ce6e0, 0xa3014314, 0x4e0811a1, 0xf7537e82, 0xbd3af235, 0x2ad7d2bb, 0xeb86d391
);
// Longer texts than this are not copied by hand.
const LOOP_CHARS_MAX = 48;
const BLOCK_BYTES = 64;
// What ends the last block: one bit, and the length.
const ENDING_BYTES = 9;

const encoder = new TextEncoder();
const state = new Int32Array(4);
const block = new Int32Array(16);
let bytes = new Uint8Array(1024);

/**
 * The digest as four numbers of 32 bits, the first byte lowest: the same four each time, so to be
 * read before the next call.
 */
export function md5(text) {
  const length = write(text);
  state[0] = 0x67452301;
  state[1] = 0xefcdab89;
  state[2] = 0x98badcfe;
  state[3] = 0x10325476;
  let at = 0;
  for (; at + BLOCK_BYTES <= length; at += BLOCK_BYTES) {
    fill(at, at + BLOCK_BYTES);
    mix();
  }
  fill(at, length);
  const rest = length - at;
  block[rest >> 2] |= 0x80 << ((rest & 3) * 8);
  if (rest > BLOCK_BYTES - ENDING_BYTES) {
    mix();
    block.fill(0);
  }
  block[14] = length << 3;
  block[15] = length / 0x20000000;
  mix();
  return state;
}

// Writes the text's UTF-8 to `bytes` and says how many they are.
function write(text) {
  const { length } = text;
  if (length <= LOOP_CHARS_MAX) {
    let i = 0;
    for (; i < length; i += 1) {
      const unit = text.charCodeAt(i);
      if (unit > 127) break;
      bytes[i] = unit;
    }
    if (i === length) return length;
  }
  if (bytes.length < length * 3) bytes = new Uint8Array(length * 3);
  return encoder.encodeInto(text, bytes).written;
}

// Takes the bytes of one block, and zeros where there are no more.
function fill(from, to) {
  block.fill(0);
  for (let i = from; i < to; i += 1) block[(i - from) >> 2] |= bytes[i] << ((i & 3) * 8);
}

// The four rounds of sixteen steps over one block.
function mix() {
  let a = state[0];
  let b = state[1];
  let c = state[2];
  let d = state[3];
  for (let i = 0; i < 64; i += 1) {
    let f;
    let word;
    if (i < 16) {
      f = d ^ (b & (c ^ d));
      word = i;
    } else if (i < 32) {
      f = c ^ (d & (b ^ c));
      word = (5 * i + 1) & 15;
    } else if (i < 48) {
      f = b ^ c ^ d;
      word = (3 * i + 5) & 15;
    } else {
      f = c ^ (b | ~d);
      word = (7 * i) & 15;
    }
    const sum = (a + f + SINES[i] + block[word]) | 0;
    const shift = SHIFTS[((i >> 4) << 2) | (i & 3)];
    a = d;
    d = c;
    c = b;
    b = (b + ((sum << shift) | (sum >>> (32 - shift)))) | 0;
  }
  state[0] += a;
  state[1] += b;
  state[2] += c;
  state[3] += d;
}
