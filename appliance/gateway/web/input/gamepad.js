/** Gamepads, told to the box as they change, as Anbox' SDK does; triggers with how far they are pressed. */

/** Indices of https://w3c.github.io/gamepad/#remapping, the only layout that means something on the box. */
const TRIGGERS = [6, 7];
const AXES = 4;
const STEPS = 10000;

/** Names of pads that were told of: once a visit is enough. @type {Set<string>} */
const refused = new Set();

/**
 * Tells of pads, while any is plugged in, until `signal` aborts. What this page tells first of one is all of it.
 * @param {import('./input.js').Stage} stage
 * @param {AbortSignal} signal
 * @returns {import('./input.js').Input}
 */
export function attachGamepads({ send, tell, connections }, signal) {
  /** What the box knows, by pad, then by control. @type {Map<number, Map<string, number>>} */
  const known = new Map();
  let connection = 0;
  let frame = 0;

  const report = (/** @type {Gamepad} */ { index: id, buttons, axes }) => {
    const told = known.get(id) ?? new Map();
    known.set(id, told);
    const say = (/** @type {string} */ kind, /** @type {number} */ index, /** @type {number} */ value,
      /** @type {object} */ data, droppable = false) => {
      const control = `${kind} ${index}`;
      // What could not be sent is new at the next look, too.
      if (told.get(control) !== value && send(kind, { id, index, ...data }, droppable)) told.set(control, value);
    };
    buttons.forEach(({ pressed, value }, index) => {
      if (!TRIGGERS.includes(index)) return say('input::gamepad-button', index, Number(pressed), { pressed });
      const depth = rounded(value);
      return say('input::gamepad-button', index, depth, { pressed, value: depth });
    });
    axes.slice(0, AXES).forEach((exact, index) => {
      const value = rounded(exact);
      say('input::gamepad-axes', index, value, { value }, true);
    });
  };

  const look = () => {
    const pads = plugged();
    frame = pads.length ? requestAnimationFrame(look) : 0;
    if (connection !== connections()) known.clear(); // to a new one all pads are
    connection = connections();
    if (document.hasFocus()) pads.filter(isStandard).forEach(report);
  };
  const begin = () => {
    for (const pad of plugged()) refuse(pad, tell);
    if (!frame) look();
  };

  window.addEventListener('gamepadconnected', begin, { signal });
  window.addEventListener('gamepaddisconnected', ({ gamepad }) => {
    known.delete(gamepad.index);
    if (isStandard(gamepad)) send('fanlight::gamepad-gone', { id: gamepad.index });
  }, { signal });
  signal.addEventListener('abort', () => cancelAnimationFrame(frame));
  begin();
  return { reset: () => known.clear() };
}

/** Names of the pads that are passed on. @returns {string[]} */
export const padNames = () => plugged().filter(isStandard).map(name);

/** @returns {Gamepad[]} */
function plugged() {
  try {
    return /** @type {Gamepad[]} */ ([...navigator.getGamepads?.() ?? []].filter((pad) => pad?.connected));
  } catch {
    return []; // a page around ours lets it have none
  }
}

const isStandard = (/** @type {Gamepad} */ { mapping }) => mapping === 'standard';

/** Browsers add numbers and the layout in brackets. */
const name = (/** @type {Gamepad} */ { id }) => id.replace(/\s*\(.*\)$/, '') || id;

const rounded = (/** @type {number} */ value) => Math.round(value * STEPS) / STEPS;

/** @param {Gamepad} pad @param {(text: string) => void} tell */
function refuse(pad, tell) {
  if (isStandard(pad) || refused.has(pad.id)) return;
  refused.add(pad.id);
  tell(`This browser does not know how the buttons of “${name(pad)}” are laid out, so it is not passed on.`);
}
