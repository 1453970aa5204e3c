/** The microphone: off until asked for, and really off then, so that the browser's own mark of it goes away. */

import { microphoneWords } from './words.js';

const WANTED = { audio: { echoCancellation: true, noiseSuppression: true, autoGainControl: true, channelCount: 1 } };

/**
 * @typedef {object} MicrophoneEvents
 * @property {(track: MediaStreamTrack|null) => void} speak what it hears goes to the box
 * @property {(text: string) => void} tell
 * @property {() => void} changed
 */

export class Microphone {
  /** What the box says against it. */ #problem = '';
  /** @type {MediaStreamTrack|null} */ #track = null;
  /** The question to the browser that is open. @type {object|null} */ #question = null;
  #events;

  /** @param {MicrophoneEvents} events @param {AbortSignal} signal */
  constructor(events, signal) {
    this.#events = events;
    signal.addEventListener('abort', () => this.off());
  }

  /** @returns {'on'|'asking'|'off'} */
  get state() {
    if (this.#track) return 'on';
    return this.#question ? 'asking' : 'off';
  }

  toggle() {
    if (this.state !== 'off') this.off();
    else if (this.#problem) this.#events.tell(microphoneWords(this.#problem));
    else this.#ask();
  }

  /** Off for a reason that is told, where it was on. */
  off(reason = '') {
    if (this.state === 'off') return;
    if (reason) this.#events.tell(reason);
    this.#question = null;
    this.#set(null);
  }

  /** What the box says of its own end: empty where it takes what is said. @param {string} problem */
  heed(problem) {
    this.#problem = problem;
    if (problem) this.off(microphoneWords(problem));
  }

  async #ask() {
    const question = this.#question = {};
    this.#events.changed();
    try {
      if (!navigator.mediaDevices) throw new DOMException('no secure context', 'SecurityError');
      const [track] = (await navigator.mediaDevices.getUserMedia(WANTED)).getAudioTracks();
      if (this.#question !== question) return track.stop();
      track.onended = () => this.off(microphoneWords(new DOMException('', 'NotReadableError')));
      this.#question = null;
      this.#set(track);
    } catch (error) {
      if (this.#question === question) this.off(microphoneWords(error));
    }
    return undefined;
  }

  /** @param {MediaStreamTrack|null} track */
  #set(track) {
    const before = this.#track;
    this.#track = track;
    this.#events.speak(track);
    if (before) {
      before.onended = null;
      before.stop();
    }
    this.#events.changed();
  }
}
