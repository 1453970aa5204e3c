/** Everything a person does to the stage, on its way to the box. */

import { attachGamepads } from './gamepad.js';
import { attachKeyboard } from './keyboard.js';
import { attachPointer } from './pointer.js';
import { attachTouch } from './touch.js';
import { attachWheel } from './wheel.js';

/**
 * @typedef {object} Stage what the input modules share
 * @property {HTMLElement} surface where pointers act
 * @property {HTMLElement} screen takes the keyboard focus
 * @property {import('../ui/view.js').View} view
 * @property {(type: string, data: object, droppable?: boolean) => boolean} send whether it was sent
 * @property {() => number} connections that were made so far: to a new one nothing was sent yet
 * @property {(text: string) => void} tell shows it
 * @property {import('./clipboard.js').Clipboard} clipboard
 * @property {() => void} openToolbar
 */

/** @typedef {{reset: () => void}} Input `reset` forgets what is held, without a word to the box */

/**
 * Listens until `signal` aborts.
 * @param {Stage} stage
 * @param {AbortSignal} signal
 */
export function attachInput(stage, signal) {
  /** @type {Input[]} */
  const inputs = [];
  const release = () => {
    for (const input of inputs) input.reset();
    stage.send('fanlight::release', {});
  };
  inputs.push(
    attachKeyboard(stage, release, signal),
    attachPointer(stage, signal),
    attachTouch(stage, signal),
    attachGamepads(stage, signal),
  );
  attachWheel(stage, signal);
  stage.surface.addEventListener('contextmenu', (event) => event.preventDefault(), { signal });
  window.addEventListener('blur', release, { signal });
  document.addEventListener('visibilitychange', () => {
    if (document.hidden) release();
  }, { signal });
  signal.addEventListener('abort', release);
}
