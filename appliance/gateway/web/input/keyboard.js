/** Keys by their place (`KeyboardEvent.code`); the box maps them to its layout with the help of `key`. */

const isMac = /Mac|iPhone|iPad/.test(navigator.userAgent);
const MODIFIERS = new Set(['Control', 'Alt', 'Shift']);
/** What Command does with these on a Mac, Control does on the box. */
const COMMANDS = new Set(['KeyA', 'KeyC', 'KeyV', 'KeyX', 'KeyZ']);

/**
 * @param {import('./input.js').Stage} stage
 * @param {() => void} release lets go of everything, here and at the box
 * @param {AbortSignal} signal
 * @returns {import('./input.js').Input}
 */
export function attachKeyboard({ surface, clipboard, send, openToolbar }, release, signal) {
  /** Keys held down, by code. @type {Map<string, string>} */
  const held = new Map();
  /** The code of a Mac's Command that is down: what comes next shows what the box should take it for. */
  let command = '';

  const press = (/** @type {string} */ code, /** @type {string} */ key) => {
    held.set(code, key);
    send('fanlight::key', { code, key, pressed: true });
  };
  const lift = (/** @type {string} */ code, /** @type {string} */ key) => {
    if (!held.delete(code)) return;
    send('fanlight::key', { code, key, pressed: false });
  };
  const takeCommand = (/** @type {boolean} */ asControl) => {
    if (!command) return;
    if (asControl) press('ControlLeft', 'Control');
    else press(command, 'Meta');
    command = '';
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
    if (isMac && event.key === 'Meta') {
      event.preventDefault();
      command = event.code;
      return;
    }
    if (!MODIFIERS.has(event.key)) takeCommand(COMMANDS.has(event.code));
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
    if (isMac && event.key === 'Meta') {
      takeCommand(false);
      // macOS reports no keyup for keys that were pressed together with Command.
      for (const [code, key] of [...held].reverse()) lift(code, key);
    }
    if (!event.code || !held.has(event.code)) return;
    event.preventDefault();
    lift(event.code, event.key);
  };

  window.addEventListener('keydown', onDown, { capture: true, signal });
  window.addEventListener('keyup', onUp, { capture: true, signal });
  surface.addEventListener('pointerdown', () => takeCommand(false), { capture: true, signal });
  return {
    reset: () => {
      held.clear();
      command = '';
    },
  };
}

/** Not F11, which must always lead out of full screen; not what is typed into our own controls. */
function isForStage(/** @type {KeyboardEvent} */ event, /** @type {HTMLElement} */ surface) {
  const focus = document.activeElement;
  const ours = focus === null || focus === document.body || surface.contains(focus);
  return ours && event.code !== '' && event.code !== 'F11' && !event.isComposing;
}

function isToolbarChord(/** @type {KeyboardEvent} */ event) {
  return event.ctrlKey && event.altKey && event.shiftKey && MODIFIERS.has(event.key);
}

function isPaste(/** @type {KeyboardEvent} */ event) {
  return (event.code === 'KeyV' && (event.ctrlKey || event.metaKey) && !event.altKey)
    || (event.code === 'Insert' && event.shiftKey);
}
