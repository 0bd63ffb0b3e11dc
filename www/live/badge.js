// The tab's picture and title: how the proxy is, for somebody who looks at another tab.

const RING = '<circle cx="16" cy="16" r="11" fill="none" stroke-width="6" stroke="COLOUR"/>';
const LOOKS = {
  well: { colour: '#1a7a4c', mark: '' },
  trouble: { colour: '#1f78a5', mark: '<circle cx="23" cy="9" r="9" fill="#fff"/><circle cx="23" cy="9" r="7" fill="#b3261e"/>' },
  down: { colour: '#b3261e', mark: '<path d="M10 10l12 12M22 10L10 22" stroke="#b3261e" stroke-width="4"/>' },
  old: { colour: '#8a939d', mark: '<path d="M9 16h14" stroke="#8a939d" stroke-width="4"/>' },
};

const HOME = './favicon.svg';

export function createBadge(link) {
  let shown = null;
  return {
    show(look) {
      if (look === shown) return;
      shown = look;
      link.dataset.look = look ?? '';
      if (look === null) {
        link.href = HOME;
        return;
      }
      const { colour, mark } = LOOKS[look];
      const svg = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32">${RING.replace('COLOUR', colour)}${mark}</svg>`;
      link.href = `data:image/svg+xml,${encodeURIComponent(svg)}`;
    },
  };
}

// How the fleet is, of { health words }: 'well', 'trouble', 'down', 'old'.
export function lookOf({ isOld, nEligible, nWanted }) {
  if (isOld) return 'old';
  if (nEligible === 0) return 'down';
  return nEligible < nWanted ? 'trouble' : 'well';
}
