/**
 * Fingers as a mouse: a tap clicks where it lands, a drag drags, a long press is the right button, two fingers turn
 * the wheel, tapped they are the right button too; pinched apart they magnify the picture on this side.
 */

import { Gesture } from './gesture.js';
import { perFrame } from './coalesce.js';

const SLOP_PX = 9;
const LONG_PRESS_MS = 500;
const TWO_FINGER_TAP_MS = 300;
const LEFT = 1;
const RIGHT = 3;

/**
 * @param {import('./input.js').Stage} stage
 * @param {AbortSignal} signal
 * @returns {import('./input.js').Input}
 */
export function attachTouch({ surface, screen, view, clipboard, send }, signal) {
  /** `idle`, one finger down, dragging, spent (until all are lifted), two fingers down, wheel or pinch. */
  let mode = 'idle';
  let start = { x: 0, y: 0, time: 0 };
  let place = { x: 0, y: 0 };
  let turned = { dx: 0, dy: 0 };
  let timer = 0;
  const gesture = new Gesture();

  const button = (/** @type {number} */ which, /** @type {boolean} */ pressed) =>
    send('input::mouse-button', { button: which, pressed });
  const moveTo = (/** @type {number} */ x, /** @type {number} */ y) =>
    send('input::mouse-move', { ...view.toVideo(x, y), rx: 0, ry: 0 });
  const click = (/** @type {number} */ which) => {
    moveTo(start.x, start.y);
    button(which, true);
    button(which, false);
  };
  const drag = perFrame(() => {
    if (mode !== 'drag') return;
    if (view.follow(place.x, place.y)) drag.mark();
    moveTo(place.x, place.y);
  });
  const wheel = perFrame(() => {
    send('fanlight::wheel', turned);
    turned = { dx: 0, dy: 0 };
  });

  const onDown = (/** @type {PointerEvent} */ event) => {
    surface.setPointerCapture(event.pointerId);
    clipboard.gesture();
    gesture.down(event);
    clearTimeout(timer);
    if (gesture.fingers === 1) {
      // The field of the on-screen keyboard keeps its focus: a tap must not close the keyboard.
      if (document.activeElement?.id !== 'typing') screen.focus({ preventScroll: true });
      mode = 'tap';
      start = { x: event.clientX, y: event.clientY, time: event.timeStamp };
      timer = setTimeout(() => {
        mode = 'spent';
        navigator.vibrate?.(15);
        click(RIGHT);
      }, LONG_PRESS_MS);
    } else if (gesture.fingers === 2 && mode !== 'spent') {
      if (mode === 'drag') button(LEFT, false);
      mode = 'two';
      const { x, y } = gesture.centre;
      start = { x, y, time: event.timeStamp };
    }
  };

  const onMove = (/** @type {PointerEvent} */ event) => {
    const change = gesture.move(event);
    if (!change) return;
    if (mode === 'tap' && Math.hypot(event.clientX - start.x, event.clientY - start.y) > SLOP_PX) {
      clearTimeout(timer);
      mode = 'drag';
      moveTo(start.x, start.y);
      button(LEFT, true);
    }
    if (mode === 'two') mode = gesture.kind() ?? mode;
    if (mode === 'drag') {
      place = { x: event.clientX, y: event.clientY };
      drag.mark();
    } else if (mode === 'wheel') {
      turned.dx -= change.dx;
      turned.dy -= change.dy;
      wheel.mark();
    } else if (mode === 'pinch') {
      view.magnify(change.scale, gesture.centre.x, gesture.centre.y);
      view.pan(change.dx, change.dy);
    }
  };

  const onUp = (/** @type {PointerEvent} */ event) => {
    gesture.up(event);
    clearTimeout(timer);
    if (mode === 'tap' && event.type === 'pointerup') {
      click(LEFT);
    } else if (mode === 'drag') {
      drag.now();
      button(LEFT, false);
    } else if (mode === 'two' && event.type === 'pointerup' && event.timeStamp - start.time < TWO_FINGER_TAP_MS) {
      click(RIGHT);
    }
    if (mode === 'wheel') wheel.now();
    mode = gesture.fingers ? 'spent' : 'idle';
  };

  /** @type {[string, (event: PointerEvent) => void][]} */
  const handlers = [
    ['pointerdown', onDown], ['pointermove', onMove], ['pointerup', onUp], ['pointercancel', onUp],
  ];
  for (const [type, handler] of handlers) {
    surface.addEventListener(type, (event) => {
      const pointer = /** @type {PointerEvent} */ (event);
      if (pointer.pointerType !== 'touch') return;
      pointer.preventDefault();
      handler(pointer);
    }, { signal });
  }
  return {
    reset: () => {
      clearTimeout(timer);
      gesture.clear();
      mode = 'idle';
    },
  };
}
