/** The statistics panel: where the time goes, and what both ends know. */

import { padNames } from '../input/gamepad.js';
import { byId, h } from './dom.js';

/** @typedef {import('../latency.js').Leg} Leg */

export class Panel {
  #root = byId('stats');

  get isOpen() {
    return !this.#root.hidden;
  }

  toggle() {
    this.#root.hidden = !this.#root.hidden;
    return this.isOpen;
  }

  close() {
    if (this.isOpen) this.toggle();
  }

  /** Once a second. @param {import('../session.js').Session} session @param {import('../latency.js').Latency} latency */
  draw({ sample, box, echoMs }, { legs, total, p95 }) {
    if (!this.isOpen) return;
    if (!sample) return this.#root.replaceChildren(h('p', null, 'No connection to measure.'));
    const sum = legs.reduce((all, { ms }) => all + (ms ?? 0), 0);
    this.#root.replaceChildren(
      h('p.headline', null,
        h('strong', null, total === null ? `> ${sum.toFixed(0)} ms` : `≈ ${total.toFixed(0)} ms`),
        h('span', null, 'screen to screen')),
      tiles(legs, sum),
      table(sample, box, echoMs, p95));
    return undefined;
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

/** @param {import('../stats.js').Sample} sample @param {any} box @param {number|null} echoMs @param {number|null} latency95 */
function table(sample, box, echoMs, latency95) {
  const p50 = number(box?.capture_to_encoded_p50_ms, 1);
  const p95 = number(box?.capture_to_encoded_p95_ms, 1);
  const pads = padNames().join(', ');
  /** @type {[string, string][]} */
  const rows = [
    ['Latency', latency95 === null ? '' : `p95 ${number(latency95, 1)} ms`],
    ['Picture', `${sample.width ?? '–'} × ${sample.height ?? '–'}, ${number(sample.fps, 0)} fps`],
    ['Bit rate', megabits(sample.bitrateKbps)],
    ['Codec', [sample.codec, sample.decoder].filter(Boolean).join(', ') || '–'],
    ['Encoder', box?.encoder || '–'],
    ['', box?.encoder_reason ?? ''],
    ['Box', `${p50} ms, p95 ${p95} ms`],
    ['Round trip', `${number(sample.rttMs, 1)} ms, echo ${number(echoMs, 1)} ms`],
    ['Dropped', `${sample.framesDropped} here, ${box?.frames_dropped ?? '–'} at the box`],
    ['Lost', `${sample.packetsLost} packets`],
    ['Path', sample.pair || '–'],
    ['Sound', box?.audio || (sample.audio ? 'arrives' : '–')],
    ['Microphone', box?.microphone || '–'],
    ['Input', box?.input || '–'],
    ['Gamepad', pads],
    ['', pads && (box?.gamepads ?? '')],
  ];
  return h('dl', null, ...rows.filter(([, value]) => value)
    .flatMap(([name, value]) => [h('dt', null, name), h(name ? 'dd' : 'dd.reason', null, value)]));
}

function number(/** @type {number|null|undefined} */ value, /** @type {number} */ digits) {
  return value === null || value === undefined ? '–' : value.toFixed(digits);
}

function megabits(/** @type {number|null} */ kbps) {
  return kbps === null ? '–' : `${(kbps / 1000).toFixed(2)} Mb/s`;
}
