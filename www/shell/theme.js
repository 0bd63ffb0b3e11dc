// Light or dark: what the visitor chose, or what the system says. The palette is in one place,
// palette.js; the style sheets get it from here.

import { PALETTES } from '../shared/palette.js';

export const THEMES = { auto: 'System', light: 'Light', dark: 'Dark' };
const KEY = 'ringway.theme';
const TOKENS = ['background', 'neutral', 'out', 'ink', 'muted', 'line'];

// Calls `onChange()` whenever another theme is in effect.
export function createTheme(onChange) {
  const darkness = matchMedia('(prefers-color-scheme: dark)');
  let wish = stored();
  const named = () => (wish === 'auto' ? (darkness.matches ? 'dark' : 'light') : wish);

  function apply() {
    const root = document.documentElement;
    const palette = PALETTES[named()];
    root.dataset.theme = named();
    palette.servers.forEach((colour, i) => root.style.setProperty(`--server-${i}`, colour));
    for (const token of TOKENS) root.style.setProperty(`--${token}`, palette[token]);
  }

  darkness.addEventListener('change', () => {
    apply();
    onChange();
  });
  apply();

  return {
    // 'light' or 'dark'.
    get name() {
      return named();
    },
    // One of THEMES.
    get wish() {
      return wish;
    },
    choose(name) {
      wish = name;
      try {
        localStorage.setItem(KEY, name);
      } catch {
        // Not remembered, then.
      }
      apply();
      onChange();
    },
  };
}

function stored() {
  try {
    const name = localStorage.getItem(KEY);
    return Object.hasOwn(THEMES, name) ? name : 'auto';
  } catch {
    return 'auto';
  }
}
