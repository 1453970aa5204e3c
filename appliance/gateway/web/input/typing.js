/** The on-screen keyboard of a phone, through a hidden field, and the keys that such keyboards lack. */

/** Something to delete: a field that is empty tells nothing of Backspace. */
const FILLER = '          ';
const REFILL_LENGTH = 200;
/** What the field is told of otherwise, and what changes letters that come through it. */
const OF_THE_FIELD = new Set([
  'Unidentified', 'Process', 'Dead', 'Backspace', 'Enter', 'Shift', 'Control', 'Alt', 'AltGraph', 'Meta', 'CapsLock',
]);

/**
 * @typedef {object} Typist
 * @property {(code: string, key: string) => void} stroke presses and lifts a key
 * @property {(text: string) => void} write types text, whatever the layout
 * @property {() => boolean} modified whether a sticky modifier waits for a key
 */

/**
 * @param {HTMLTextAreaElement} field
 * @param {Typist} typist
 * @param {AbortSignal} signal
 */
export function attachTyping(field, { stroke, write, modified }, signal) {
  let known = FILLER;
  let composing = false;
  const refill = () => {
    field.value = known = FILLER;
    field.setSelectionRange(known.length, known.length);
  };

  const onInput = () => {
    const value = field.value;
    const [before, after] = [characters(known), characters(value)];
    let same = 0;
    while (same < before.length && before[same] === after[same]) same += 1;
    for (let gone = before.length - same; gone > 0; gone -= 1) stroke('Backspace', 'Backspace');
    type(after.slice(same).join(''));
    known = value;
    if (!composing && (value.length < FILLER.length || value.length > REFILL_LENGTH)) refill();
  };

  const type = (/** @type {string} */ text) => {
    for (const [index, line] of text.split('\n').entries()) {
      if (index > 0) stroke('Enter', 'Enter');
      const code = modified() ? codeOf(line) : '';
      if (code) stroke(code, line.toLowerCase());
      else if (line) write(line);
    }
  };

  field.addEventListener('input', onInput, { signal });
  field.addEventListener('compositionstart', () => { composing = true; }, { signal });
  field.addEventListener('compositionend', () => { composing = false; }, { signal });
  field.addEventListener('focus', refill, { signal });
  // The box's own caret stays where it is, so this one has to stay at the end of what was typed.
  document.addEventListener('selectionchange', () => {
    const { value, selectionStart, selectionEnd } = field;
    if (document.activeElement !== field || composing || selectionStart !== selectionEnd) return;
    if (selectionEnd < value.length) field.setSelectionRange(value.length, value.length);
  }, { signal });
  // A keyboard with real keys, a Bluetooth one say: named keys by code, letters through the field.
  field.addEventListener('keydown', (event) => {
    const named = event.key.length > 1 && !OF_THE_FIELD.has(event.key);
    if (event.isComposing || !event.code || !named) return;
    event.preventDefault();
    stroke(event.code, event.key);
  }, { signal });
}

/** What one Backspace takes away, each. @param {string} text */
function characters(text) {
  return [...text];
}

/** Where a single letter or digit is on a US keyboard, else ''. */
function codeOf(/** @type {string} */ text) {
  if (/^[a-z]$/i.test(text)) return `Key${text.toUpperCase()}`;
  if (/^\d$/.test(text)) return `Digit${text}`;
  return '';
}
