/** The wheel in pixels, 120 for one notch of a wheel that has notches. */

import { perFrame } from './coalesce.js';

const NOTCH = 120;
/** A notch is three lines in every browser that counts lines. */
const LINE = 40;

/**
 * @param {import('./input.js').Stage} stage
 * @param {AbortSignal} signal
 */
export function attachWheel({ surface, view, send }, signal) {
  let turned = { dx: 0, dy: 0 };
  const flush = perFrame(() => {
    send('fanlight::wheel', turned);
    turned = { dx: 0, dy: 0 };
  });
  surface.addEventListener('wheel', (event) => {
    event.preventDefault();
    turned.dx += pixels(event, 'X', view.height);
    turned.dy += pixels(event, 'Y', view.height);
    flush.mark();
  }, { passive: false, signal });
}

/** @param {any} event @param {'X'|'Y'} axis @param {number} page height of a page, px */
function pixels(event, axis, page) {
  const delta = event[`delta${axis}`];
  if (event.deltaMode === WheelEvent.DOM_DELTA_LINE) return delta * LINE;
  if (event.deltaMode === WheelEvent.DOM_DELTA_PAGE) return delta * page;
  // Chromium's pixels for a notch depend on the system, its wheelDelta does not; on a touchpad it is -3 * delta.
  const legacy = event[`wheelDelta${axis}`] ?? 0;
  const notched = legacy !== 0 && legacy % NOTCH === 0 && legacy !== -3 * delta;
  return notched ? -legacy : delta;
}
