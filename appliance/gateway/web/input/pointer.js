/** Mouse and pen: places in video pixels, or bare movement while the pointer is locked. */

import { perFrame } from './coalesce.js';

/** Bit of `MouseEvent.buttons`, button of the Anbox dialect (and of X11). */
const BUTTONS = [[1, 1], [4, 2], [2, 3], [8, 4], [16, 5]];

/**
 * @param {import('./input.js').Stage} stage
 * @param {AbortSignal} signal
 * @returns {import('./input.js').Input}
 */
export function attachPointer({ surface, screen, view, clipboard, send }, signal) {
  let held = 0;
  let at = { clientX: 0, clientY: 0 };
  let moved = { x: 0, y: 0 };
  /** The box was not told of the last place. */
  let behind = false;

  const locked = () => document.pointerLockElement === surface;
  const move = perFrame(() => {
    const relative = { rx: Math.round(moved.x), ry: Math.round(moved.y) };
    moved = { x: moved.x - relative.rx, y: moved.y - relative.ry };
    if (locked()) {
      if (relative.rx || relative.ry) send('input::mouse-move', relative, true);
      return;
    }
    if (view.follow(at.clientX, at.clientY)) move.mark();
    behind = !send('input::mouse-move', { ...view.toVideo(at.clientX, at.clientY), ...relative }, held === 0);
  });

  /** Buttons by the mask of every event: it also tells of a second button, and of one lifted out of sight. */
  const setButtons = (/** @type {number} */ mask) => {
    if (mask === held) return;
    move.now();
    if (behind && !locked()) send('input::mouse-move', { ...view.toVideo(at.clientX, at.clientY), rx: 0, ry: 0 });
    behind = false;
    for (const [bit, button] of BUTTONS) {
      if ((mask ^ held) & bit) send('input::mouse-button', { button, pressed: Boolean(mask & bit) });
    }
    held = mask;
  };

  const onPointer = (/** @type {PointerEvent} */ event) => {
    if (event.pointerType === 'touch') return;
    event.preventDefault();
    if (event.type === 'pointerdown') {
      screen.focus({ preventScroll: true });
      clipboard.gesture();
      if (!locked()) surface.setPointerCapture(event.pointerId);
    }
    at = event;
    moved.x += event.movementX;
    moved.y += event.movementY;
    move.mark();
    // What was pressed elsewhere, on the toolbar say, is no press here.
    if (held || event.type === 'pointerdown') setButtons(event.buttons);
  };

  for (const type of ['pointerdown', 'pointermove', 'pointerup']) {
    surface.addEventListener(type, /** @type {EventListener} */ (onPointer), { signal });
  }
  surface.addEventListener('pointercancel', ({ pointerType }) => {
    if (pointerType !== 'touch') setButtons(0);
  }, { signal });
  // Back and forward buttons must not leave the page; a press must not start a selection.
  for (const type of ['mousedown', 'mouseup', 'auxclick', 'dragstart']) {
    surface.addEventListener(type, (event) => event.preventDefault(), { signal });
  }
  return { reset: () => { held = 0; } };
}
