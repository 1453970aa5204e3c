/** The on-screen keyboard: opens the device's own, with a row of the keys that it lacks. */

import { attachTyping } from '../input/typing.js';
import { byId, h } from './dom.js';

/** @type {[string, string, string][]} label, code, key */
const KEYS = [
  ['Esc', 'Escape', 'Escape'], ['Tab', 'Tab', 'Tab'],
  ['Ctrl', 'ControlLeft', 'Control'], ['Alt', 'AltLeft', 'Alt'], ['Shift', 'ShiftLeft', 'Shift'], ['⌘', 'MetaLeft', 'Meta'],
  ['←', 'ArrowLeft', 'ArrowLeft'], ['↓', 'ArrowDown', 'ArrowDown'], ['↑', 'ArrowUp', 'ArrowUp'], ['→', 'ArrowRight', 'ArrowRight'],
  ['Home', 'Home', 'Home'], ['End', 'End', 'End'], ['PgUp', 'PageUp', 'PageUp'], ['PgDn', 'PageDown', 'PageDown'],
  ['Del', 'Delete', 'Delete'], ...Array.from({ length: 12 }, (_, i) =>
    /** @type {[string, string, string]} */ ([`F${i + 1}`, `F${i + 1}`, `F${i + 1}`])),
];
const STICKY = new Set(['ControlLeft', 'AltLeft', 'ShiftLeft', 'MetaLeft']);

export class Keys {
  #stage = /** @type {HTMLElement} */ (byId('stage'));
  #row = /** @type {HTMLElement} */ (byId('keys'));
  #field = /** @type {HTMLTextAreaElement} */ (byId('typing'));
  #send;
  #onChange;
  /** Sticky modifiers that wait for a key: code, key. @type {Map<string, string>} */ #waiting = new Map();

  /**
   * @param {(type: string, data: object) => void} send
   * @param {(open: boolean) => void} onChange
   * @param {AbortSignal} signal
   */
  constructor(send, onChange, signal) {
    this.#send = send;
    this.#onChange = onChange;
    this.#row.replaceChildren(...KEYS.map(([label, code, key]) =>
      h('button', { type: 'button', 'data-code': code, 'aria-pressed': STICKY.has(code) ? 'false' : null,
        'aria-label': key, onclick: () => this.#press(code, key) }, label)));
    // The field must keep its focus, or the keyboard goes away.
    this.#row.addEventListener('mousedown', (event) => event.preventDefault(), { signal });
    attachTyping(this.#field, {
      stroke: (code, key) => this.#stroke(code, key),
      write: (text) => send('input::ime-event', { type: 1, data: { text } }),
      modified: () => this.#waiting.size > 0,
    }, signal);
    for (const type of ['resize', 'scroll']) {
      window.visualViewport?.addEventListener(type, () => this.#makeRoom(), { signal });
    }
    signal.addEventListener('abort', () => this.close());
  }

  get isOpen() {
    return !this.#row.hidden;
  }

  toggle() {
    if (this.isOpen) return this.close();
    this.#row.hidden = false;
    this.#field.focus({ preventScroll: true });
    return this.#onChange(true);
  }

  close() {
    this.#waiting.clear();
    this.#show();
    this.#row.hidden = true;
    this.#field.blur();
    this.#makeRoom();
    this.#onChange(false);
  }

  /** iOS lays its keyboard over the page, and the row of keys with it. */
  #makeRoom() {
    const { height, offsetTop, scale } = window.visualViewport ?? { height: 0, offsetTop: 0, scale: 0 };
    const covered = this.isOpen && scale === 1;
    this.#stage.style.top = covered ? `${offsetTop}px` : '';
    this.#stage.style.height = covered ? `${height}px` : '';
  }

  #press(/** @type {string} */ code, /** @type {string} */ key) {
    if (!STICKY.has(code)) return this.#stroke(code, key);
    if (!this.#waiting.delete(code)) this.#waiting.set(code, key);
    return this.#show();
  }

  #stroke(/** @type {string} */ code, /** @type {string} */ key) {
    const modifiers = [...this.#waiting];
    for (const [held, name] of modifiers) this.#key(held, name, true);
    this.#key(code, key, true);
    this.#key(code, key, false);
    for (const [held, name] of modifiers.reverse()) this.#key(held, name, false);
    this.#waiting.clear();
    this.#show();
  }

  #key(/** @type {string} */ code, /** @type {string} */ key, /** @type {boolean} */ pressed) {
    this.#send('fanlight::key', { code, key, pressed });
  }

  #show() {
    for (const code of STICKY) {
      this.#row.querySelector(`[data-code="${code}"]`)?.setAttribute('aria-pressed', String(this.#waiting.has(code)));
    }
  }
}
