/** Full screen with all keys going to the box, and the locked pointer. */

import { toast } from './toast.js';

/** @param {HTMLElement} element */
export async function toggleFullScreen(element) {
  if (document.fullscreenElement) return void (await document.exitFullscreen());
  if (!element.requestFullscreen) return toast('This browser has no full screen for pages. Add Fanlight to the home screen instead.');
  try {
    await element.requestFullscreen({ navigationUI: 'hide' });
  } catch (error) {
    return toast(`Full screen was refused. ${/** @type {Error} */ (error).message}`);
  }
  try {
    // Escape, the system key, Ctrl+W... reach the box; held down, Escape still leads out.
    await /** @type {any} */ (navigator).keyboard?.lock();
    if (/** @type {any} */ (navigator).keyboard) toast('Hold Esc to leave full screen.');
  } catch (error) {
    console.info('keyboard lock refused', error);
  }
  return undefined;
}

/** @param {HTMLElement} element */
export async function togglePointerLock(element) {
  if (document.pointerLockElement) return document.exitPointerLock();
  if (!element.requestPointerLock) return toast('This browser cannot lock the pointer.');
  try {
    await lock(element);
    toast('Pointer locked. Esc sets it free.');
  } catch (error) {
    toast(`The pointer could not be locked. ${/** @type {Error} */ (error).message}`);
  }
  return undefined;
}

/** Without the system's acceleration where that exists: the box has its own. @param {HTMLElement} element */
async function lock(element) {
  try {
    await element.requestPointerLock({ unadjustedMovement: true });
  } catch (error) {
    if (/** @type {Error} */ (error).name !== 'NotSupportedError') throw error;
    await element.requestPointerLock();
  }
}
