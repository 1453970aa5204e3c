/** For those who only watch: a drag moves a picture that is larger than the stage, a pinch magnifies it. Sends nothing. */

import { Gesture } from './gesture.js';

/**
 * @param {HTMLElement} surface
 * @param {import('../ui/view.js').View} view
 * @param {AbortSignal} signal
 */
export function attachLook(surface, view, signal) {
  const gesture = new Gesture();
  surface.addEventListener('pointerdown', (event) => {
    surface.setPointerCapture(event.pointerId);
    gesture.down(event);
  }, { signal });
  surface.addEventListener('pointermove', (event) => {
    const change = gesture.move(event);
    if (!change) return;
    if (gesture.fingers > 1) view.magnify(change.scale, gesture.centre.x, gesture.centre.y);
    view.pan(change.dx, change.dy);
  }, { signal });
  for (const type of ['pointerup', 'pointercancel']) {
    surface.addEventListener(type, (event) => gesture.up(/** @type {PointerEvent} */ (event)), { signal });
  }
  surface.addEventListener('wheel', (event) => {
    event.preventDefault();
    view.pan(-event.deltaX, -event.deltaY);
  }, { passive: false, signal });
}
