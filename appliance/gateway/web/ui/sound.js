/** Sound: on unless switched off; where the browser wants a gesture first, a hint asks for it. */

import { byId } from './dom.js';
import { resume } from './resume.js';

const KEY = 'fanlight.sound';

export class Sound {
  wanted = recall();
  #audio = /** @type {HTMLAudioElement} */ (byId('sound'));
  #hint = byId('unmute');
  #onChange;

  /** @param {() => void} onChange @param {AbortSignal} signal */
  constructor(onChange, signal) {
    this.#onChange = onChange;
    this.#hint.addEventListener('click', () => this.#play(), { signal });
    // Any press will do, the hint is only there to invite one.
    for (const type of ['pointerup', 'keydown']) {
      window.addEventListener(type, () => {
        if (!this.#hint.hidden) this.#play();
      }, { signal });
    }
    resume(this.#audio, () => this.#play(), signal);
    signal.addEventListener('abort', () => {
      this.#audio.srcObject = null;
      this.#hint.hidden = true;
    });
  }

  /** @param {MediaStream} stream */
  attach(stream) {
    this.#audio.srcObject = stream;
    this.#play();
  }

  toggle() {
    this.wanted = !this.wanted;
    remember(this.wanted);
    this.#play();
    this.#onChange();
  }

  async #play() {
    this.#audio.muted = !this.wanted;
    this.#hint.hidden = true;
    if (!this.wanted || !this.#audio.srcObject) return;
    try {
      await this.#audio.play();
    } catch (error) {
      this.#hint.hidden = /** @type {Error} */ (error).name !== 'NotAllowedError';
    }
  }
}

function recall() {
  try {
    return localStorage.getItem(KEY) !== 'off';
  } catch {
    return true;
  }
}

function remember(/** @type {boolean} */ on) {
  try {
    localStorage.setItem(KEY, on ? 'on' : 'off');
  } catch {
    // A browser that keeps nothing still plays.
  }
}
