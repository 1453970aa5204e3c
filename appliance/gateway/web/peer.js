/** One RTCPeerConnection to the box: pictures and sound in, the `control` channel both ways. */

/** How long ICE may be `disconnected` before the peer counts as lost. */
const DISCONNECTED_MS = 2000;
/** The box explains itself over signaling; a channel that closes first waits this long for that. */
const GOODBYE_MS = 1000;
/** Unsent bytes above which movements are dropped: an old place of the pointer is worth nothing. */
const CONGESTED_BYTES = 64 * 1024;

/**
 * @typedef {object} PeerEvents
 * @property {(stream: MediaStream) => void} onVideo
 * @property {(stream: MediaStream) => void} onSound
 * @property {(candidate: RTCIceCandidate) => void} onCandidate
 * @property {() => void} onConnected
 * @property {(type: string, data: any) => void} onMessage a message of the control channel, decoded
 * @property {(reason: string) => void} onLost once, unless closed here
 */

/** Codecs to prefer, the best for latency first, and what repairs them, as far as this browser knows them. */
export function decoders() {
  const known = RTCRtpReceiver.getCapabilities?.('video')?.codecs ?? [];
  const names = new Set(known.map((codec) => codec.mimeType.split('/')[1].toUpperCase()));
  return ['H264', 'VP8', 'AV1', 'VP9', 'FLEXFEC-03'].filter((name) => names.has(name));
}

/** What this page wants, in the words of the Anbox dialect. @param {boolean} drives whether it may be heard, should it ever speak */
export function settings(drives) {
  return {
    type: 'settings',
    api_version: 2,
    data_channels: [],
    enable_speaker: true,
    enable_microphone: drives,
    enable_video: true,
    enable_camera: false,
    video: { preferred_decoder_codecs: decoders() },
  };
}

export class Peer {
  /** @type {RTCPeerConnection} */ #pc;
  /** @type {RTCDataChannel} */ #control;
  /** @type {PeerEvents} */ #on;
  #timer = 0;
  #closed = false;
  /** Sound goes both ways here, once it is agreed on. @type {RTCRtpTransceiver|null} */ #sound = null;
  /** @type {MediaStreamTrack|null} */ #voice;

  /**
   * @param {import('./api.js').StunServer[]} stunServers
   * @param {MediaStreamTrack|null} voice
   * @param {PeerEvents} on
   */
  constructor(stunServers, voice, on) {
    this.#on = on;
    this.#voice = voice;
    this.#pc = new RTCPeerConnection({
      iceServers: stunServers.map(({ urls, username, password }) => ({ urls, username, credential: password })),
    });
    this.#pc.ontrack = (event) => this.#track(event);
    this.#pc.onicecandidate = ({ candidate }) => { if (candidate?.candidate) on.onCandidate(candidate); };
    this.#pc.onconnectionstatechange = () => this.#stateChanged();
    this.#control = this.#pc.createDataChannel('control');
    this.#control.onmessage = ({ data }) => this.#message(data);
    this.#control.onclose = () => this.#expect(GOODBYE_MS, 'The box closed the stream.');
  }

  get connected() {
    return !this.#closed && this.#pc.connectionState === 'connected';
  }

  get connection() {
    return this.#pc;
  }

  /** Bytes that one message may have. */
  get messageLimit() {
    return this.#pc.sctp?.maxMessageSize ?? 65536;
  }

  /** @param {string} sdp the box's offer @returns {Promise<string>} our answer */
  async accept(sdp) {
    await this.#pc.setRemoteDescription({ type: 'offer', sdp });
    this.#sound = this.#pc.getTransceivers().find(({ receiver }) => receiver.track.kind === 'audio') ?? null;
    if (this.#sound) {
      // As far as the box takes any: then a microphone that is switched on needs no new negotiation.
      this.#sound.direction = 'sendrecv';
      if (this.#voice) await this.#sound.sender.replaceTrack(this.#voice);
    }
    const answer = await this.#pc.createAnswer();
    await this.#pc.setLocalDescription({ type: 'answer', sdp: withStereo(answer.sdp ?? '') });
    return /** @type {RTCSessionDescription} */ (this.#pc.localDescription).sdp;
  }

  /**
   * Sends the sound of a track, or none; without one no packets flow.
   * @param {MediaStreamTrack|null} voice
   * @returns {boolean} false where the box did not agree on it
   */
  speak(voice) {
    this.#voice = voice;
    this.#sound?.sender.replaceTrack(voice).catch((error) => console.warn('microphone:', error));
    return this.#sound?.currentDirection !== 'recvonly';
  }

  /** @param {RTCIceCandidateInit} candidate */
  async addCandidate(candidate) {
    try {
      await this.#pc.addIceCandidate(candidate);
    } catch (error) {
      console.warn('candidate not usable:', candidate.candidate, error);
    }
  }

  /**
   * @param {string} type
   * @param {object} data
   * @param {boolean} [droppable] not worth sending when earlier messages still wait
   * @returns {boolean} whether it was sent
   */
  send(type, data, droppable = false) {
    if (this.#control.readyState !== 'open') return false;
    if (droppable && this.#control.bufferedAmount > CONGESTED_BYTES) return false;
    this.#control.send(JSON.stringify({ type, data }));
    return true;
  }

  close() {
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#control.onclose = null;
    this.#pc.onconnectionstatechange = null;
    this.#pc.close();
  }

  /** @param {RTCTrackEvent} event */
  #track({ track, receiver, streams }) {
    const stream = streams[0] ?? new MediaStream([track]);
    if (track.kind !== 'video') return this.#on.onSound(stream);
    // Only the picture: a sound buffer of zero crackles.
    if ('jitterBufferTarget' in receiver) receiver.jitterBufferTarget = 0;
    if ('playoutDelayHint' in receiver) receiver.playoutDelayHint = 0;
    if ('contentHint' in track) track.contentHint = 'detail';
    return this.#on.onVideo(stream);
  }

  /** @param {string} text */
  #message(text) {
    try {
      const { type, data } = JSON.parse(text);
      this.#on.onMessage(type, typeof data === 'string' ? JSON.parse(data) : data);
    } catch (error) {
      console.warn('control: message not understood', error);
    }
  }

  #stateChanged() {
    const state = this.#pc.connectionState;
    if (state === 'connected') {
      clearTimeout(this.#timer);
      this.#on.onConnected();
    } else if (state === 'disconnected') {
      this.#expect(DISCONNECTED_MS, 'The connection to the box was interrupted.');
    } else if (state === 'failed') {
      this.#lose('No path for picture and sound to the box could be kept open.');
    }
  }

  /** Lost, unless something better happens within `ms`. */
  #expect(/** @type {number} */ ms, /** @type {string} */ reason) {
    clearTimeout(this.#timer);
    if (!this.#closed) this.#timer = setTimeout(() => this.#lose(reason), ms);
  }

  /** @param {string} reason */
  #lose(reason) {
    if (this.#closed) return;
    this.close();
    this.#on.onLost(reason);
  }
}

/** Opus is decoded in mono unless the answer asks for stereo (RFC 7587, section 6.1). */
function withStereo(/** @type {string} */ sdp) {
  const opus = /a=rtpmap:(\d+) opus\/48000\/2/i.exec(sdp);
  if (!opus || sdp.includes('stereo=1')) return sdp;
  const format = new RegExp(`(a=fmtp:${opus[1]} [^\\r\\n]*)`);
  return format.test(sdp)
    ? sdp.replace(format, '$1;stereo=1')
    : sdp.replace(opus[0], `${opus[0]}\r\na=fmtp:${opus[1]} stereo=1`);
}
