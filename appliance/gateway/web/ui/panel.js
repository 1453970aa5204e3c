/** The statistics panel: where the time goes, and what both ends know. */

import { byId, h } from './dom.js';

/** @typedef {{name: string, ms: number|null, hint: string}} Leg */

export class Panel {
  #root = byId('stats');
  #video = /** @type {any} */ (byId('screen'));
  /** From a frame's last packet to the display, mean of the last second, ms. @type {number|null} */ #shownMs = null;
  #shown = { sum: 0, count: 0 };
  #callback = 0;

  get isOpen() {
    return !this.#root.hidden;
  }

  toggle() {
    this.#root.hidden = !this.#root.hidden;
    if (this.isOpen) this.#watchFrames();
    else this.#video.cancelVideoFrameCallback?.(this.#callback);
    return this.isOpen;
  }

  close() {
    if (this.isOpen) this.toggle();
  }

  /** Once a second. @param {import('../session.js').Session} session */
  draw({ sample, box, echoMs }) {
    if (!this.isOpen) return;
    this.#shownMs = this.#shown.count ? this.#shown.sum / this.#shown.count : null;
    this.#shown = { sum: 0, count: 0 };
    if (!sample) return this.#root.replaceChildren(h('p', null, 'No connection to measure.'));
    const legs = this.#legs(sample, box, echoMs);
    const known = legs.filter(({ ms }) => ms !== null);
    const total = known.reduce((sum, { ms }) => sum + (ms ?? 0), 0);
    this.#root.replaceChildren(
      h('p.headline', null,
        h('strong', null, known.length === legs.length ? `≈ ${total.toFixed(0)} ms` : `> ${total.toFixed(0)} ms`),
        h('span', null, 'screen to screen')),
      tiles(legs, total),
      table(sample, box, echoMs));
    return undefined;
  }

  /** @param {import('../stats.js').Sample} sample @param {any} box @param {number|null} echoMs @returns {Leg[]} */
  #legs({ rttMs, bufferMs, decodeMs }, box, echoMs) {
    // ICE measures every few seconds only, the echo each second but with the work at both ends.
    const roundTrip = Math.min(rttMs ?? Infinity, echoMs ?? Infinity);
    const inside = (bufferMs ?? 0) + (decodeMs ?? 0);
    return [
      { name: 'box', ms: box?.capture_to_encoded_p50_ms ?? null, hint: 'capture to encoded' },
      { name: 'network', ms: roundTrip < Infinity ? roundTrip / 2 : null, hint: 'half the round trip' },
      { name: 'buffer', ms: bufferMs, hint: 'jitter buffer' },
      { name: 'decode', ms: decodeMs, hint: 'decoder' },
      { name: 'display', ms: this.#shownMs === null ? null : Math.max(0, this.#shownMs - inside), hint: 'compositor' },
    ];
  }

  /** A callback for each frame costs a little, so only while somebody looks. */
  #watchFrames() {
    if (!this.#video.requestVideoFrameCallback) return;
    /** @param {number} _now @param {any} frame */
    const onFrame = (_now, frame) => {
      if (frame.receiveTime !== undefined) {
        this.#shown.sum += frame.expectedDisplayTime - frame.receiveTime;
        this.#shown.count += 1;
      }
      this.#callback = this.#video.requestVideoFrameCallback(onFrame);
    };
    this.#callback = this.#video.requestVideoFrameCallback(onFrame);
  }
}

/** @param {Leg[]} legs @param {number} total ms */
function tiles(legs, total) {
  const bar = h('div.legs', null, ...legs.map(({ name, ms, hint }) => {
    const tile = h(`div.leg.${name}`, { title: hint });
    tile.style.flexGrow = String(total > 0 ? (ms ?? 0) / total : 0);
    return tile;
  }));
  const legend = h('ul.legend', null, ...legs.map(({ name, ms }) =>
    h(`li.${name}`, null, h('span', null, name), h('b', null, number(ms, 1)))));
  return h('div', null, bar, legend);
}

/** @param {import('../stats.js').Sample} sample @param {any} box @param {number|null} echoMs */
function table(sample, box, echoMs) {
  const p50 = number(box?.capture_to_encoded_p50_ms, 1);
  const p95 = number(box?.capture_to_encoded_p95_ms, 1);
  /** @type {[string, string][]} */
  const rows = [
    ['Picture', `${sample.width ?? '–'} × ${sample.height ?? '–'}, ${number(sample.fps, 0)} fps`],
    ['Bit rate', megabits(sample.bitrateKbps)],
    ['Codec', [sample.codec, sample.decoder].filter(Boolean).join(', ') || '–'],
    ['Encoder', box?.encoder || '–'],
    ['', box?.encoder_reason ?? ''],
    ['Box', `${p50} ms, p95 ${p95} ms`],
    ['Round trip', `${number(sample.rttMs, 1)} ms, echo ${number(echoMs, 1)} ms`],
    ['Dropped', `${sample.framesDropped} here, ${box?.frames_dropped ?? '–'} at the box`],
    ['Lost', `${sample.packetsLost} packets, ${sample.freezes} freezes`],
    ['Path', sample.pair || '–'],
    ['Sound', box?.audio || (sample.audio ? 'arrives' : '–')],
    ['Input', box?.input || '–'],
  ];
  return h('dl', null, ...rows.filter(([name, value]) => name || value)
    .flatMap(([name, value]) => [h('dt', null, name), h(name ? 'dd' : 'dd.reason', null, value)]));
}

function number(/** @type {number|null|undefined} */ value, /** @type {number} */ digits) {
  return value === null || value === undefined ? '–' : value.toFixed(digits);
}

function megabits(/** @type {number|null} */ kbps) {
  return kbps === null ? '–' : `${(kbps / 1000).toFixed(2)} Mb/s`;
}
