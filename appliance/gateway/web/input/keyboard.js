/** Keys by their place (`KeyboardEvent.code`); the box maps them to its layout with the help of `key`. */

const isMac = /Mac|iPhone|iPad/.test(navigator.userAgent);
const MODIFIERS = new Set(['Control', 'Alt', 'Shift']);
/** What Command does with these on a Mac, Control does on the box. */
const COMMANDS = new Set(['KeyA', 'KeyC', 'KeyV', 'KeyX', 'KeyZ']);
/** Windows never tells that these Japanese keys are lifted. */
const NEVER_LIFTED = new Set(['Zenkaku', 'Hankaku', 'Alphanumeric', 'Katakana', 'Hiragana', 'Romaji', 'KanaMode']);
const SHIFTS = ['ShiftLeft', 'ShiftRight'];

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
  /** What it was taken for. */
  let taken = '';

  const press = (/** @type {string} */ code, /** @type {string} */ key) => {
    held.set(code, key);
    send('fanlight::key', { code, key, pressed: true });
  };
  const lift = (/** @type {string} */ code, /** @type {string} */ key) => {
    if (!held.delete(code)) return;
    send('fanlight::key', { code, key, pressed: false });
  };
  const stroke = (/** @type {string} */ code, /** @type {string} */ key) => {
    press(code, key);
    lift(code, key);
  };
  const takeCommand = (/** @type {boolean} */ asControl) => {
    if (!command) return;
    taken = asControl ? 'ControlLeft' : command;
    press(taken, asControl ? 'Control' : 'Meta');
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
    const put = isLifted(event) ? press : stroke;
    if (event.repeat && (put === press || !held.has(taken))) return void event.preventDefault();
    if (isMac && event.key === 'Meta') {
      event.preventDefault();
      command = event.code;
      return;
    }
    if (!MODIFIERS.has(event.key)) takeCommand(COMMANDS.has(event.code));
    if (isPaste(event) && !event.repeat) {
      // Left to the browser: its `paste` event brings this device's clipboard to the box before the key.
      clipboard.beforePaste(() => put(event.code, event.key));
      return;
    }
    event.preventDefault();
    // Windows sends a ControlLeft of its own with AltGr, which would make a shortcut of every third-level sign.
    if (event.key === 'AltGraph' && held.has('ControlLeft')) lift('ControlLeft', 'Control');
    put(event.code, event.key);
  };

  const onUp = (/** @type {KeyboardEvent} */ event) => {
    clipboard.settle();
    if (isMac && event.key === 'Meta') {
      takeCommand(false);
      // macOS reports no keyup for keys that are lifted while Command is down.
      for (const [code, key] of [...held].reverse()) {
        if (!MODIFIERS.has(key) || code === taken) lift(code, key);
      }
    }
    if (isOnlyLifted(event) && !held.has(event.code) && isForStage(event, surface)) stroke(event.code, event.key);
    // Of two Shifts Windows reports only the one that is lifted last.
    const codes = event.key === 'Shift' && !event.shiftKey ? SHIFTS : [event.code];
    for (const code of codes.filter((each) => held.has(each))) {
      event.preventDefault();
      lift(code, event.key);
    }
  };

  window.addEventListener('keydown', onDown, { capture: true, signal });
  window.addEventListener('keyup', onUp, { capture: true, signal });
  surface.addEventListener('pointerdown', () => takeCommand(false), { capture: true, signal });
  return {
    reset: () => {
      held.clear();
      command = taken = '';
      clipboard.dropKey();
    },
  };
}

/** Not F11, which must always lead out of full screen; not what is typed into our own controls. */
function isForStage(/** @type {KeyboardEvent} */ event, /** @type {HTMLElement} */ surface) {
  const focus = document.activeElement;
  const ours = focus === null || focus === document.body || surface.contains(focus);
  // Who waits for a picture gets to the buttons in its place.
  if (event.code === 'Tab' && !document.getElementById('cover')?.hidden) return false;
  return ours && event.code !== '' && event.code !== 'F11' && !event.isComposing;
}

function isToolbarChord(/** @type {KeyboardEvent} */ event) {
  return event.ctrlKey && event.altKey && event.shiftKey && MODIFIERS.has(event.key);
}

/** Whether it will be told that the key is lifted. A Mac tells nothing of what is pressed together with Command. */
function isLifted(/** @type {KeyboardEvent} */ { code, key, metaKey }) {
  if (isMac && (code === 'CapsLock' || (metaKey && key !== 'Meta' && !MODIFIERS.has(key)))) return false;
  return !NEVER_LIFTED.has(key);
}

/** Caps Lock of a Mac goes down as it is switched on, up as it is switched off; Windows keeps Print Screen's down. */
function isOnlyLifted(/** @type {KeyboardEvent} */ { code }) {
  return (isMac && code === 'CapsLock') || code === 'PrintScreen';
}

function isPaste(/** @type {KeyboardEvent} */ event) {
  return (event.code === 'KeyV' && (event.ctrlKey || event.metaKey) && !event.altKey)
    || (event.code === 'Insert' && event.shiftKey);
}
