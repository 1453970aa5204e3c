/** From the box's screen to this one: in steps, as exactly as both ends know, and told to the box now and then. */

import { Timing } from './timing.js';

/** Looks, one a second, between two reports to the box. */
const REPORT_EVERY = 5;

/** @typedef {{name: string, ms: number|null, hint: string}} Leg null is not known */

export class Latency {
  /** @type {Leg[]} */ legs = [];
  /** All of them, ms: the median frame where the box tells of each, else their sum. @type {number|null} */ total = null;
  /** @type {number|null} */ p95 = null;
  timing;
  #session;
  #following = false;
  #asked = false;
  /** @type {string|null} */ #peer = null;
  #looks = 0;

  /** @param {import('./session.js').Session} session @param {HTMLVideoElement} video */
  constructor(session, video) {
    this.#session = session;
    this.timing = new Timing(video);
  }

  /** Has the box tell of every frame, or not any more. @param {boolean} on */
  follow(on) {
    if (this.#following === on) return;
    this.#following = on;
    this.timing.watch(on);
    this.#ask();
  }

  /** Once a second. @param {import('./stats.js').Sample} sample */
  look({ rttMs, bufferMs, decodeMs }) {
    const { box, echoMs, peerId } = this.#session;
    if (peerId !== this.#peer) {
      this.#peer = peerId;
      this.#asked = false;
      this.timing.forget();
    }
    if (this.#following && !this.#asked) this.#ask();
    if (!this.#following) this.timing.glimpse();

    const told = this.timing.takeSummary();
    const inside = this.timing.takeInside();
    // ICE measures every few seconds only, the echo each second but with the work at both ends.
    const roundTrip = Math.min(rttMs ?? Infinity, echoMs ?? Infinity);
    const displayMs = inside === null ? null : Math.max(0, inside - (bufferMs ?? 0) - (decodeMs ?? 0));
    this.legs = [
      ...(told ? [
        { name: 'capture', ms: told.capture, hint: 'from the screen of the box, colours converted' },
        { name: 'encode', ms: told.encode, hint: 'encoder' },
        { name: 'send', ms: told.send, hint: 'from the encoder to the network' },
        { name: 'network', ms: Math.max(0, told.network), hint: 'until the last packet was here' },
      ] : [
        { name: 'box', ms: box?.capture_to_encoded_p50_ms ?? null, hint: 'capture to encoded' },
        { name: 'network', ms: roundTrip < Infinity ? roundTrip / 2 : null, hint: 'half the round trip' },
      ]),
      { name: 'buffer', ms: bufferMs, hint: 'jitter buffer' },
      { name: 'decode', ms: decodeMs, hint: 'decoder' },
      { name: 'display', ms: displayMs, hint: 'compositor' },
    ];
    const known = this.legs.every(({ ms }) => ms !== null);
    this.total = told ? told.p50 : known ? this.legs.reduce((sum, { ms }) => sum + (ms ?? 0), 0) : null;
    this.p95 = told?.p95 ?? null;
    this.#report();
  }

  #ask() {
    this.#asked = this.#session.send('fanlight::timing', { on: this.#following });
  }

  #report() {
    if (this.total === null) return;
    if (this.#looks % REPORT_EVERY === 0) this.#session.send('fanlight::latency', { ms: this.total });
    this.#looks += 1;
  }
}
