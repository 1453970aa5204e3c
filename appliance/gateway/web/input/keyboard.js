/** Keys by their place (`KeyboardEvent.code`); the box maps them to its layout with the help of `key`. */

const isMac = /Mac|iPhone|iPad/.test(navigator.userAgent);

/**
 * @param {import('./input.js').Stage} stage
 * @param {() => void} release lets go of everything, here and at the box
 * @param {AbortSignal} signal
 * @returns {import('./input.js').Input}
 */
export function attachKeyboard({ surface, clipboard, send, openToolbar }, release, signal) {
  /** Keys held down, by code. @type {Map<string, string>} */
  const held = new Map();

  const press = (/** @type {string} */ code, /** @type {string} */ key) => {
    held.set(code, key);
    send('fanlight::key', { code, key, pressed: true });
  };
  const lift = (/** @type {string} */ code, /** @type {string} */ key) => {
    if (!held.delete(code)) return;
    send('fanlight::key', { code, key, pressed: false });
  };

  const onDown = (/** @type {KeyboardEvent} */ event) => {
    if (!isForStage(event, surface)) return;
    if (isToolbarChord(event)) {
      event.preventDefault();
      release();
      openToolbar();
      return;
    }
    clipboard.gesture();
    if (event.repeat) return void event.preventDefault();
    if (isPaste(event)) {
      // Left to the browser: its `paste` event brings this device's clipboard to the box before the key.
      clipboard.beforePaste(() => press(event.code, event.key));
      return;
    }
    event.preventDefault();
    // Windows sends a ControlLeft of its own with AltGr, which would make a shortcut of every third-level sign.
    if (event.key === 'AltGraph' && held.has('ControlLeft')) lift('ControlLeft', 'Control');
    press(event.code, event.key);
  };

  const onUp = (/** @type {KeyboardEvent} */ event) => {
    clipboard.settle();
    if (!event.code || !held.has(event.code)) return;
    event.preventDefault();
    lift(event.code, event.key);
    // macOS reports no keyup for keys that were pressed together with Command.
    if (isMac && event.key === 'Meta') for (const [code, key] of [...held]) lift(code, key);
  };

  window.addEventListener('keydown', onDown, { capture: true, signal });
  window.addEventListener('keyup', onUp, { capture: true, signal });
  return { reset: () => held.clear() };
}

/** Not F11, which must always lead out of full screen; not what is typed into our own controls. */
function isForStage(/** @type {KeyboardEvent} */ event, /** @type {HTMLElement} */ surface) {
  const focus = document.activeElement;
  const ours = focus === null || focus === document.body || surface.contains(focus);
  return ours && event.code !== '' && event.code !== 'F11' && !event.isComposing;
}

function isToolbarChord(/** @type {KeyboardEvent} */ event) {
  return event.ctrlKey && event.altKey && event.shiftKey && ['Control', 'Alt', 'Shift'].includes(event.key);
}

function isPaste(/** @type {KeyboardEvent} */ event) {
  return (event.code === 'KeyV' && (event.ctrlKey || event.metaKey) && !event.altKey)
    || (event.code === 'Insert' && event.shiftKey);
}
