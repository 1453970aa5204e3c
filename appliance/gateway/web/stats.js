/** Numbers of one peer connection, over the time since the last sample. null means not known, never zero. */

/**
 * @typedef {object} Sample
 * @property {number} at ms, performance.now()
 * @property {number|null} fps frames decoded a second
 * @property {number|null} bitrateKbps picture only
 * @property {number|null} rttMs
 * @property {number|null} bufferMs a frame's stay in the jitter buffer
 * @property {number|null} decodeMs a frame's decoding
 * @property {number} framesDecoded
 * @property {number} framesDropped
 * @property {number} packetsLost
 * @property {string} codec
 * @property {string} decoder
 * @property {number|null} width
 * @property {number|null} height
 * @property {string} pair how the media travels, such as `host to prflx, udp`
 * @property {boolean} audio whether sound arrives
 */

export class StatsMeter {
  /** @type {RTCPeerConnection} */ #pc;
  /** @type {{at: number, video: any, audio: any}|null} */ #last = null;

  /** @param {RTCPeerConnection} pc */
  constructor(pc) {
    this.#pc = pc;
  }

  /** @returns {Promise<Sample>} */
  async sample() {
    const report = await this.#pc.getStats();
    const { video, audio } = inbound(report);
    const last = this.#last;
    const at = performance.now();
    this.#last = { at, video, audio };
    const per = (/** @type {string} */ total, /** @type {string} */ count, /** @type {number} */ scale) =>
      ratio(video, last?.video, total, count, scale);
    return {
      at,
      fps: rate(video, last?.video, 'framesDecoded', at, last?.at),
      bitrateKbps: rate(video, last?.video, 'bytesReceived', at, last?.at, 8 / 1000),
      bufferMs: per('jitterBufferDelay', 'jitterBufferEmittedCount', 1000),
      decodeMs: per('totalDecodeTime', 'framesDecoded', 1000),
      framesDecoded: video?.framesDecoded ?? 0,
      framesDropped: video?.framesDropped ?? 0,
      packetsLost: video?.packetsLost ?? 0,
      codec: report.get(video?.codecId)?.mimeType?.split('/')[1] ?? '',
      decoder: video?.decoderImplementation ?? '',
      width: video?.frameWidth ?? null,
      height: video?.frameHeight ?? null,
      audio: (audio?.bytesReceived ?? 0) > (last?.audio?.bytesReceived ?? Infinity),
      ...path(report),
    };
  }
}

/** @param {RTCStatsReport} report */
function inbound(report) {
  /** @type {{video: any, audio: any}} */
  const found = { video: null, audio: null };
  report.forEach((entry) => {
    if (entry.type === 'inbound-rtp' && entry.kind in found) found[/** @type {'video'} */ (entry.kind)] = entry;
  });
  return found;
}

/** @param {RTCStatsReport} report @returns {{rttMs: number|null, pair: string}} */
function path(report) {
  /** @type {any} */
  let pair = null;
  report.forEach((entry) => {
    if (entry.type === 'transport' && entry.selectedCandidatePairId) pair = report.get(entry.selectedCandidatePairId);
  });
  report.forEach((entry) => {
    if (!pair && entry.type === 'candidate-pair' && entry.nominated && entry.state === 'succeeded') pair = entry;
  });
  if (!pair) return { rttMs: null, pair: '' };
  const local = report.get(pair.localCandidateId);
  const remote = report.get(pair.remoteCandidateId);
  const rtt = pair.currentRoundTripTime;
  return {
    rttMs: typeof rtt === 'number' ? rtt * 1000 : null,
    pair: `${local?.candidateType ?? '?'} to ${remote?.candidateType ?? '?'}, ${local?.protocol ?? '?'}`,
  };
}

/** @returns {number|null} growth of `field` a second, times `scale` */
function rate(/** @type {any} */ entry, /** @type {any} */ last, /** @type {string} */ field,
  /** @type {number} */ at, /** @type {number|undefined} */ lastAt, scale = 1) {
  if (!entry || !last || lastAt === undefined || at <= lastAt) return null;
  return (Math.max(0, entry[field] - last[field]) * scale * 1000) / (at - lastAt);
}

/** @returns {number|null} growth of `total` for each of `count`, times `scale` */
function ratio(/** @type {any} */ entry, /** @type {any} */ last, /** @type {string} */ total,
  /** @type {string} */ count, /** @type {number} */ scale) {
  const counted = (entry?.[count] ?? 0) - (last?.[count] ?? 0);
  if (!entry || counted <= 0) return null;
  return ((entry[total] - (last?.[total] ?? 0)) * scale) / counted;
}
