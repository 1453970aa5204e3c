/** Where the time of each frame goes, from the box's capture to this display. All times in ms, those of the box
 * brought to the clock of this page, `performance.now()`. */

/** Frames that one end has told of and the other has not, or that were not looked at. */
const KEPT = 512;
/** Of so many echoes the quickest tells best how the clocks stand to each other. */
const ECHOES = 16;

/**
 * @typedef {object} Frame one frame that was displayed
 * @property {number} rtp its RTP timestamp
 * @property {number} captured when the box began to capture it
 * @property {number} capture how long that took
 * @property {number} encode
 * @property {number} send from the encoder to the network
 * @property {number} network until the last packet was here
 * @property {number} inside from there to the display: buffer, decoder, compositor
 * @property {number} decode of that
 * @property {number} total from capture to display
 */

/**
 * @typedef {object} Summary of the frames since the last look; means, but for `p50` and `p95` of `total`
 * @property {number} capture
 * @property {number} encode
 * @property {number} send
 * @property {number} network
 * @property {number} p50
 * @property {number} p95
 */

export class Timing {
  /** The latest last. @type {Frame[]} */ frames = [];
  #video;
  #every = false;
  #callback = 0;
  #inside = { sum: 0, count: 0 };
  /** Displayed here, by RTP timestamp. @type {Map<number, {received: number, decode: number, displayed: number}>} */
  #displayed = new Map();
  /** @type {{trip: number, offset: number}[]} */ #echoes = [];
  #looked = 0;

  /** @param {HTMLVideoElement} video */
  constructor(video) {
    this.#video = /** @type {any} */ (video);
  }

  /** Looks at every frame from now on, or just at one when asked. @param {boolean} every */
  watch(every) {
    this.#every = every;
    if (every) this.glimpse();
    else this.forget();
  }

  /** Looks at the next frame: a callback for each one costs a little. */
  glimpse() {
    if (this.#callback || !this.#video.requestVideoFrameCallback) return;
    this.#callback = this.#video.requestVideoFrameCallback((/** @type {number} */ _, /** @type {any} */ frame) => {
      this.#callback = 0;
      this.#see(frame);
      if (this.#every) this.glimpse();
    });
  }

  /** Another connection: its clock and timestamps are new. */
  forget() {
    this.frames = [];
    this.#looked = 0;
    this.#displayed.clear();
    this.#echoes = [];
    this.#inside = { sum: 0, count: 0 };
  }

  /** An echo: sent at `sent`, when the box's clock said `box`. @param {number} sent @param {number|undefined} box */
  heedEcho(sent, box) {
    if (box === undefined) return;
    const now = performance.now();
    this.#echoes.push({ trip: now - sent, offset: box - (sent + now) / 2 });
    if (this.#echoes.length > ECHOES) this.#echoes.shift();
  }

  /** What the box tells of frames, `fanlight::frames`. @param {[number, number, number, number, number][]} rows */
  heedFrames(rows) {
    if (!this.#echoes.length) return;
    const { offset } = this.#echoes.reduce((best, echo) => (echo.trip < best.trip ? echo : best));
    for (const [rtp, box, capture, encode, send] of rows) {
      const here = this.#displayed.get(rtp);
      if (!here) continue;
      this.#displayed.delete(rtp);
      const captured = box - offset;
      const { received, decode, displayed } = here;
      this.frames.push({
        rtp, captured, capture, encode, send, network: received - captured - capture - encode - send,
        inside: displayed - received, decode, total: displayed - captured,
      });
    }
    const surplus = this.frames.length - KEPT;
    if (surplus > 0) {
      this.frames.splice(0, surplus);
      this.#looked = Math.max(0, this.#looked - surplus);
    }
  }

  /** Mean time from a frame's last packet to the display since the last call. @returns {number|null} */
  takeInside() {
    const { sum, count } = this.#inside;
    this.#inside = { sum: 0, count: 0 };
    return count ? sum / count : null;
  }

  /** @returns {Summary|null} null where the box told of no frame since the last call */
  takeSummary() {
    const fresh = this.frames.slice(this.#looked);
    this.#looked = this.frames.length;
    if (!fresh.length) return null;
    const mean = (/** @type {'capture'|'encode'|'send'|'network'} */ leg) =>
      fresh.reduce((sum, frame) => sum + frame[leg], 0) / fresh.length;
    const totals = fresh.map(({ total }) => total).sort((a, b) => a - b);
    return {
      capture: mean('capture'), encode: mean('encode'), send: mean('send'), network: mean('network'),
      p50: totals[Math.floor(totals.length / 2)], p95: totals[Math.floor(totals.length * 0.95)],
    };
  }

  /** @param {any} frame VideoFrameCallbackMetadata */
  #see({ rtpTimestamp, receiveTime, processingDuration, presentationTime, expectedDisplayTime }) {
    if (receiveTime === undefined) return;
    // A browser that is behind expects the display at a moment that has passed.
    const displayed = Math.max(presentationTime, expectedDisplayTime);
    this.#inside.sum += displayed - receiveTime;
    this.#inside.count += 1;
    if (!this.#every || rtpTimestamp === undefined) return;
    const decode = (processingDuration ?? 0) * 1000;
    this.#displayed.set(rtpTimestamp, { received: receiveTime, decode, displayed });
    if (this.#displayed.size > KEPT) this.#displayed.delete(this.#displayed.keys().next().value ?? 0);
  }
}
