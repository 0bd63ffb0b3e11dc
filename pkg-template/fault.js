/** What is thrown when something cannot be done as asked: an `Error` with a `code`. */
export function fault(code, message) {
  return Object.assign(new Error(message), { code });
}
