// What stands in the fragment of the page's address: which mode, and what that mode keeps there.
// Nothing of it is ever sent to a server.
//
//   #explore            a mode
//   #replay/at=12       a mode, and what is the mode's own
//   #v1.…               a state of Explore, packed

const PACKED = /^v\d+\./;

// { mode, rest }; `mode` is null where none is named.
export function parse(fragment) {
  const text = fragment.replace(/^#/, '');
  if (PACKED.test(text)) return { mode: 'explore', rest: text };
  const [, mode, rest = ''] = /^([a-z]+)(?:\/(.*))?$/s.exec(text) ?? [];
  return { mode: mode ?? null, rest };
}

export function format({ mode, rest }) {
  if (PACKED.test(rest)) return `#${rest}`;
  return rest === '' ? `#${mode}` : `#${mode}/${rest}`;
}
