/** Tells a stalled picture from a still one. */

const NO_PICTURE_MS = 2000;
const STALLED_MS = 3000;
const KEYFRAME_MS = 2000;

/** @typedef {{now: number, decoded: number, encoded: number|null, hidden: boolean, explained?: boolean}} Look
 *  `now` in ms; `encoded` is the box's own count of frames, null where it was not heard of lately; `explained`
 *  where the box itself says why there is no picture. */

export class Watchdog {
  /** @type {Look|null} */ #still = null;
  /** @type {number|null} */ #asked = null;

  /**
   * Called about once a second while connected.
   * @param {Look} look
   * @returns {'fine'|'keyframe'|'rejoin'} what to do now
   */
  look(look) {
    if (this.#still === null || look.hidden || look.explained || look.decoded !== this.#still.decoded) {
      this.#still = look;
      this.#asked = null;
      return 'fine';
    }
    if (this.#boxIsStill(look)) return 'fine';
    if (this.#asked !== null) return look.now - this.#asked >= KEYFRAME_MS ? 'rejoin' : 'fine';
    const patience = look.decoded === 0 ? NO_PICTURE_MS : STALLED_MS;
    if (look.now - this.#still.now < patience) return 'fine';
    this.#asked = look.now;
    return 'keyframe';
  }

  /** Nothing moves on the screen: the box encoded (almost) nothing since our last frame. */
  #boxIsStill(/** @type {Look} */ { decoded, encoded }) {
    const before = this.#still?.encoded ?? null;
    return decoded > 0 && encoded !== null && before !== null && encoded - before < 2;
  }
}
