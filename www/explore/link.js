// A state of Explore in the fragment of an address, which no server ever sees: JSON, deflated, in
// letters that addresses have. Read back, it is as foreign as a file.

export const VERSION = 'v1';
// What is read from an address may grow to this, and no further.
export const INFLATED_MAX = 4 * 2 ** 20;
// Longer addresses are not kept: some programs cut them. A file is better then.
export const ADDRESS_MAX = 8192;

async function through(stream, bytes, most = Infinity) {
  const writer = stream.writable.getWriter();
  // Its failure is the reader's too, who tells it.
  writer.write(bytes).then(() => writer.close()).catch(() => undefined);
  const chunks = [];
  let size = 0;
  for (const reader = stream.readable.getReader(); ;) {
    const { done, value } = await reader.read();
    if (done) break;
    size += value.length;
    if (size > most) {
      await reader.cancel();
      throw new Error(`it would grow to more than ${most} bytes`);
    }
    chunks.push(value);
  }
  const all = new Uint8Array(size);
  let at = 0;
  for (const chunk of chunks) {
    all.set(chunk, at);
    at += chunk.length;
  }
  return all;
}

export async function pack(state) {
  const bytes = await through(new CompressionStream('deflate-raw'), new TextEncoder().encode(JSON.stringify(state)));
  let text = '';
  for (const byte of bytes) text += String.fromCharCode(byte);
  return `${VERSION}.${btoa(text).replaceAll('+', '-').replaceAll('/', '_').replace(/=+$/, '')}`;
}

// Throws an error that says what is wrong with the text.
export async function unpack(text) {
  const [, version, letters] = /^(v\d+)\.(.*)$/s.exec(text) ?? [];
  if (version !== VERSION) throw new Error(`this link is of version ${version ?? 'unknown'}; known here is ${VERSION}`);
  if (!/^[\w-]*$/.test(letters)) throw new Error('this link has letters that do not belong there');
  try {
    const bytes = Uint8Array.from(atob(letters.replaceAll('-', '+').replaceAll('_', '/')), (letter) => letter.charCodeAt(0));
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(await through(new DecompressionStream('deflate-raw'), bytes, INFLATED_MAX)));
  } catch (error) {
    throw new Error(`this link cannot be read: ${error.message || 'it is cut or damaged'}`);
  }
}
