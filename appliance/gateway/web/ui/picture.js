/** The playing video, and its last frame in its place while there is no new one. */

import { byId } from './dom.js';
import { resume } from './resume.js';
import { toast } from './toast.js';

export class Picture {
  #video = /** @type {HTMLVideoElement} */ (byId('screen'));
  #canvas = /** @type {HTMLCanvasElement} */ (byId('last-frame'));
  #generation = 0;

  /** @param {AbortSignal} signal */
  constructor(signal) {
    resume(this.#video, () => this.#start(this.#generation), signal);
  }

  /** Plays `stream`; `onFirstFrame` when it shows. @param {MediaStream} stream @param {() => void} onFirstFrame */
  play(stream, onFirstFrame) {
    const generation = ++this.#generation;
    let shown = false;
    const first = () => {
      if (shown || generation !== this.#generation) return;
      shown = true;
      this.#canvas.hidden = true;
      onFirstFrame();
    };
    this.#video.srcObject = stream;
    this.#video.addEventListener('loadeddata', first, { once: true });
    // More exact where there is one: `loadeddata` may come before anything is drawn.
    this.#video.requestVideoFrameCallback?.(first);
    this.#start(generation);
  }

  /** @param {number} generation */
  async #start(generation) {
    try {
      await this.#video.play();
    } catch (error) {
      const { name } = /** @type {Error} */ (error);
      if (name === 'NotAllowedError' && generation === this.#generation) this.#ask(generation);
      else if (name !== 'AbortError') console.warn('video does not play', error);
    }
  }

  /** Some browsers play nothing by themselves, with or without sound. @param {number} generation */
  #ask(generation) {
    toast('This browser plays nothing by itself: tap, or press a key.');
    const gesture = new AbortController();
    for (const type of ['pointerup', 'keydown']) {
      window.addEventListener(type, () => {
        gesture.abort();
        if (generation === this.#generation) this.#start(generation);
      }, { signal: gesture.signal });
    }
  }

  /** Keeps the last frame on the stage. */
  freeze() {
    const { videoWidth, videoHeight } = this.#video;
    if (!videoWidth || !this.#canvas.hidden) return;
    this.#canvas.width = videoWidth;
    this.#canvas.height = videoHeight;
    this.#canvas.getContext('2d')?.drawImage(this.#video, 0, 0);
    this.#canvas.hidden = false;
  }

  clear() {
    this.#generation += 1;
    this.#video.srcObject = null;
    this.#canvas.hidden = true;
  }
}
