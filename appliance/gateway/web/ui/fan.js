/** The half-round window of a card: one pane lights up for each viewer. */

import { svg } from './dom.js';

const CENTRE = { x: 60, y: 58 };
const HUB = 13;
const INNER = 18;
const OUTER = 54;
const GAP = 2.6;
export const PANES = 7;

/**
 * @param {boolean} alight whether the stream runs
 * @param {number} viewers
 */
export function fan(alight, viewers) {
  const panes = Array.from({ length: PANES }, (_, index) =>
    svg('path', { d: pane(index), class: alight && isLit(index, viewers) ? 'pane lit' : 'pane' }));
  return svg('svg', { class: alight ? 'fan alight' : 'fan', viewBox: '0 0 120 64', 'aria-hidden': 'true' },
    ...panes,
    svg('path', { class: 'hub', d: `M${CENTRE.x - HUB} ${CENTRE.y}a${HUB} ${HUB} 0 0 1 ${2 * HUB} 0Z` }),
    svg('path', { class: 'sill', d: `M4 ${CENTRE.y + 2.5}h112v2.2H4Z` }));
}

/** From the middle outwards, left and right in turn. */
function isLit(/** @type {number} */ index, /** @type {number} */ viewers) {
  const offset = index - (PANES - 1) / 2;
  const order = offset <= 0 ? -2 * offset : 2 * offset - 1;
  return order < viewers;
}

function pane(/** @type {number} */ index) {
  const from = Math.PI * (1 - index / PANES);
  const to = Math.PI * (1 - (index + 1) / PANES);
  const at = (/** @type {number} */ radius, /** @type {number} */ angle, /** @type {number} */ side) => {
    const turned = angle + (side * GAP) / 2 / radius;
    return `${(CENTRE.x + radius * Math.cos(turned)).toFixed(2)} ${(CENTRE.y - radius * Math.sin(turned)).toFixed(2)}`;
  };
  return `M${at(INNER, from, -1)}L${at(OUTER, from, -1)}A${OUTER} ${OUTER} 0 0 1 ${at(OUTER, to, 1)}`
    + `L${at(INNER, to, 1)}A${INNER} ${INNER} 0 0 0 ${at(INNER, from, -1)}Z`;
}
