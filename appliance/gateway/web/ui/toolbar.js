/** The toolbar: comes down from its half-round handle, goes away by itself. */

import { byId } from './dom.js';

const STAY_MS = 3500;
/** It slides under a mouse that has only just come: a click then means the handle, and nothing that lies there now. */
const SLIDE_MS = 400;

export class Toolbar {
  #bar = /** @type {HTMLElement} */ (byId('bar'));
  #handle = /** @type {HTMLElement} */ (byId('handle'));
  #toolbar = /** @type {HTMLElement} */ (byId('toolbar'));
  #timer = 0;
  #entered = -SLIDE_MS;

  /**
   * @param {Record<string, () => void>} actions by `data-do`
   * @param {() => void} onClose the keyboard goes back to the stage
   * @param {AbortSignal} signal
   */
  constructor(actions, onClose, signal) {
    this.#toolbar.addEventListener('click', ({ target }) => {
      const button = /** @type {HTMLElement} */ (target).closest('button');
      if (button?.dataset.do) actions[button.dataset.do]?.();
    }, { signal });
    this.#handle.addEventListener('click', () => (this.isOpen ? this.close() : this.open()), { signal });
    // A press keeps the focus where it was, on the stage; the Tab key still gets here.
    this.#bar.addEventListener('mousedown', (event) => event.preventDefault(), { signal });
    this.#bar.addEventListener('pointerenter', ({ pointerType, timeStamp }) => {
      if (pointerType !== 'mouse') return;
      if (!this.isOpen) this.#entered = timeStamp;
      this.open();
    }, { signal });
    this.#bar.addEventListener('click', (event) => {
      if (event.timeStamp - this.#entered < SLIDE_MS) event.stopPropagation();
    }, { capture: true, signal });
    this.#bar.addEventListener('pointerleave', () => this.#closeLater(), { signal });
    this.#bar.addEventListener('keydown', (event) => this.#onKey(event, onClose), { signal });
  }

  get isOpen() {
    return this.#bar.classList.contains('open');
  }

  open({ focus = false } = {}) {
    this.#bar.classList.add('open');
    this.#toolbar.inert = false;
    this.#handle.setAttribute('aria-expanded', 'true');
    if (focus) /** @type {HTMLElement|null} */ (this.#toolbar.querySelector('button'))?.focus();
    this.#closeLater();
  }

  close() {
    clearTimeout(this.#timer);
    this.#bar.classList.remove('open');
    this.#toolbar.inert = true;
    this.#handle.setAttribute('aria-expanded', 'false');
  }

  /** @param {string} action @param {{pressed?: boolean, title?: string, icon?: string}} look */
  set(action, { pressed, title, icon }) {
    const button = this.#toolbar.querySelector(`[data-do="${action}"]`);
    if (!button) return;
    if (pressed !== undefined) button.setAttribute('aria-pressed', String(pressed));
    if (title) button.setAttribute('title', title);
    if (icon) button.querySelector('use')?.setAttribute('href', `icons.svg#${icon}`);
  }

  /** The handle shows that the microphone is on while the toolbar is away. */
  speaking(/** @type {boolean} */ on) {
    this.#bar.classList.toggle('speaking', on);
    this.#handle.title = `Toolbar (Ctrl+Alt+Shift)${on ? ', the microphone is on' : ''}`;
  }

  /** Buttons that need the role `control` are there, or not. */
  allow(/** @type {boolean} */ control) {
    for (const button of this.#toolbar.querySelectorAll('[data-control]')) {
      /** @type {HTMLElement} */ (button).hidden = !control;
    }
  }

  #closeLater() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      const busy = this.#bar.matches(':hover') || this.#bar.contains(document.activeElement);
      if (busy) this.#closeLater();
      else this.close();
    }, STAY_MS);
  }

  #onKey(/** @type {KeyboardEvent} */ event, /** @type {() => void} */ onClose) {
    const buttons = [...this.#toolbar.querySelectorAll('button')].filter((button) => !button.hidden);
    const index = buttons.indexOf(/** @type {any} */ (document.activeElement));
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (event.key === 'Escape') {
      this.close();
      onClose();
    } else if (step && index >= 0) {
      buttons[(index + step + buttons.length) % buttons.length].focus();
    } else {
      return;
    }
    event.preventDefault();
  }
}
