/** Pairing: six digits that the box shows, and a name to know this browser by. */

import * as api from '../api.js';
import { h, icon } from './dom.js';
import { deviceName, pairingWords } from './words.js';

const DIGITS = 6;

/**
 * @param {HTMLElement} root
 * @param {import('../api.js').Me} me
 * @param {() => void} onPaired
 */
export function showPairing(root, me, onPaired) {
  let tries = 0;
  let busy = false;

  const slots = Array.from({ length: DIGITS }, () => h('span.slot'));
  const pin = h('input.pin', {
    id: 'pin', name: 'pin', type: 'text', inputMode: 'numeric', autocomplete: 'one-time-code', pattern: '[0-9]*',
    required: true, 'aria-describedby': 'pin-error pin-help', enterKeyHint: 'go',
  });
  const name = h('input', { id: 'device', name: 'device', type: 'text', maxLength: 64, value: deviceName() });
  const error = h('p.fault', { id: 'pin-error', role: 'alert' });
  const button = h('button.primary.wide', { type: 'submit' }, 'Pair this browser');

  const draw = () => slots.forEach((slot, index) => {
    slot.textContent = pin.value[index] ?? '';
    slot.classList.toggle('next', index === Math.min(pin.value.length, DIGITS - 1));
  });

  const submit = async () => {
    if (busy || pin.value.length !== DIGITS) return;
    busy = true;
    button.disabled = true;
    error.textContent = '';
    try {
      await api.pair(pin.value, name.value.trim() || deviceName());
      onPaired();
    } catch (failure) {
      tries += 1;
      error.textContent = pairingWords(failure, tries);
      pin.value = '';
      draw();
      pin.focus();
    } finally {
      busy = false;
      button.disabled = false;
    }
  };

  pin.oninput = () => {
    pin.value = pin.value.replace(/\D/g, '').slice(0, DIGITS);
    error.textContent = '';
    draw();
    submit();
  };
  pin.onselectionchange = () => pin.setSelectionRange(pin.value.length, pin.value.length);

  const form = h('form.card.pairing', {
    onsubmit: (/** @type {Event} */ event) => {
      event.preventDefault();
      submit();
    },
  },
  h('h1', null, `Open the door to ${me.box}`),
  h('label.caption', { htmlFor: 'pin' }, 'PIN shown by the box'),
  h('div.slots', null, ...slots, pin),
  error,
  h('p.hint', { id: 'pin-help' }, 'To see a PIN, run ', h('code', null, 'fanlight pair'), ' on the box, or open ',
    h('code', null, 'fanlight tui'), '.'),
  h('label.caption', { htmlFor: 'device' }, 'Name of this browser'),
  name,
  button);

  root.replaceChildren(h('main.lone', null,
    h('header.brand.tall', null, icon('mark', 'mark'), h('span.wordmark', null, 'Fanlight')),
    form));
  draw();
  pin.focus();
}
