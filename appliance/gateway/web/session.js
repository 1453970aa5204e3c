/**
 * One session as this page sees it: joins, plays, mends itself, ends.
 *
 *   connecting -> (waiting) -> playing -> reconnecting -> playing ... -> ended
 *
 * The signaling socket and the peer connection live and die apart: a lost socket leaves the picture alone, and a
 * lost picture is asked for again on a new socket.
 */

import * as api from './api.js';
import { Backoff, pause } from './backoff.js';
import { decoders, Peer, settings } from './peer.js';
import { decode, encode, Signaling } from './signaling.js';
import { StatsMeter } from './stats.js';
import { Watchdog } from './watchdog.js';

/** From `discover` to a connected peer; a `fanlight::wait` stops the clock. */
const CONNECT_MS = 12000;
const TICK_MS = 1000;
const STATS_FRESH_MS = 3500;

/** @typedef {'connecting'|'waiting'|'playing'|'reconnecting'|'ended'} State */
/** @typedef {'left'|'over'|'unpaired'|'forbidden'|'gone'|'no-decoder'|'no-webrtc'} Ending */

class Refused extends Error {}

export class Session extends EventTarget {
  /** @type {State} */ state = 'connecting';
  /** Why the state is what it is, for people; may be empty. */ reason = '';
  /** @type {Ending|null} */ ending = null;
  /** @type {import('./api.js').Role|null} */ role = null;
  /** @type {string|null} */ peerId = null;
  /** Peer connections made so far. */ connections = 0;
  /** Whether the signaling socket is open. */ signaled = false;
  /** What the box says of itself, `InstanceStats`. @type {any} */ box = null;
  /** @type {import('./stats.js').Sample|null} */ sample = null;
  /** Round trip of a message on the control channel, ms. @type {number|null} */ echoMs = null;

  #life = new AbortController();
  #backoff = new Backoff();
  /** @type {Signaling|null} */ #link = null;
  /** @type {Peer|null} */ #peer = null;
  /** @type {StatsMeter|null} */ #meter = null;
  /** @type {import('./api.js').StunServer[]} */ #stunServers = [];
  /** What the microphone hears, while it is on. @type {MediaStreamTrack|null} */ #voice = null;
  #watchdog = new Watchdog();
  #deadline = 0;
  #boxHeardAt = -Infinity;
  /** Of the last look. */ #decoded = 0;

  /** @param {string} id */
  constructor(id) {
    super();
    this.id = id;
  }

  get ended() {
    return this.#life.signal.aborted;
  }

  /** Bytes that one control message may have. */
  get messageLimit() {
    return this.#peer?.messageLimit ?? 65536;
  }

  /** Runs until the session has ended, for whatever reason; never rejects. */
  async run() {
    if (!('RTCPeerConnection' in window)) return this.#end('no-webrtc', '');
    if (!decoders().some((codec) => codec === 'H264' || codec === 'VP8')) return this.#end('no-decoder', '');
    const ticker = setInterval(() => this.#tick(), TICK_MS);
    try {
      while (!this.ended) {
        await this.#attempt();
        if (!this.ended) await pause(this.#backoff.next(), this.#life.signal, this);
      }
    } finally {
      clearInterval(ticker);
    }
  }

  /** Tries again now instead of waiting. */
  hurry() {
    if (this.state === 'playing') return;
    this.#backoff.reset();
    this.#link?.close();
    this.dispatchEvent(new Event('hurry'));
  }

  leave() {
    this.send('stream::disconnect', {});
    this.#end('left', '');
  }

  /** The stage shows the first frame of the current connection. */
  pictureShown() {
    if (this.ended || !this.#peer) return;
    this.#backoff.reset();
    this.#become('playing', '');
    this.#tell('picture', null);
  }

  /** @param {string} type @param {object} data @param {boolean} [droppable] */
  send(type, data, droppable) {
    return this.#peer?.send(type, data, droppable) ?? false;
  }

  /** What is said goes to the box from now on, over all connections; null: nothing. @param {MediaStreamTrack|null} voice */
  speak(voice) {
    this.#voice = voice;
    const agreed = this.#peer?.speak(voice) ?? true;
    if (!voice || agreed) return;
    // Who was given the controls after it joined as a watcher begins anew.
    if (this.#link?.isOpen) this.#begin(this.#link, '');
    else this.#lost('');
  }

  /** A fresh sample of the current connection. */
  async stats() {
    const meter = this.#meter;
    if (meter) this.sample = await meter.sample();
    return this.sample;
  }

  async #attempt() {
    try {
      const invitation = await api.watch(this.id);
      if (this.ended) return;
      this.#stunServers = invitation.stun_servers;
      if (!this.#peer) this.#takeRole(invitation.role);
      this.#link = new Signaling(invitation.url);
      await this.#converse(this.#link);
    } catch (error) {
      this.#judge(error);
    } finally {
      this.#link?.close();
      this.#link = null;
      this.#signaled(false);
    }
  }

  /** Speaks until the socket closes; what is said first is said as it opens. @param {Signaling} link */
  async #converse(link) {
    if (this.#peer?.connected && this.peerId) link.send({ type: 'fanlight::adopt', peer: this.peerId });
    else this.#begin(link, this.reason);
    await link.opened;
    this.#signaled(true);
    for await (const message of link.messages()) await this.#hear(link, message);
  }

  /** @param {Signaling} link @param {any} message */
  async #hear(link, message) {
    switch (message.type) {
      case 'offer': {
        const sdp = await this.#peer?.accept(decode(message.sdp));
        return sdp && link.send({ type: 'answer', sdp: encode(sdp) });
      }
      case 'candidate':
        return this.#peer?.addCandidate({
          candidate: decode(message.candidate), sdpMid: message.sdpMid, sdpMLineIndex: message.sdpMLineIndex,
        });
      case 'fanlight::restart':
        return this.#begin(link, message.reason);
      case 'fanlight::wait':
        clearTimeout(this.#deadline);
        return this.#peer?.connected ? undefined : this.#become('waiting', message.reason);
      case 'fanlight::end':
        return this.#end('over', message.reason);
      case 'error':
        throw new Refused(message.message);
      default:
        return undefined;
    }
  }

  /** A new peer connection. We know what a box answers to `discover`, and do not wait for it. @param {Signaling} link @param {string} reason */
  #begin(link, reason) {
    this.#become(this.connections ? 'reconnecting' : 'connecting', reason);
    this.#dropPeer();
    this.connections += 1;
    this.#peer = new Peer(this.#stunServers, this.#voice, {
      onVideo: (stream) => this.#tell('video', stream),
      onSound: (stream) => this.#tell('sound', stream),
      onCandidate: ({ candidate, sdpMid, sdpMLineIndex }) =>
        this.#link?.send({ type: 'candidate', candidate: encode(candidate), sdpMid, sdpMLineIndex }),
      onConnected: () => clearTimeout(this.#deadline),
      onMessage: (type, data) => this.#heed(type, data),
      onLost: (lost) => this.#lost(lost),
    });
    this.#meter = new StatsMeter(this.#peer.connection);
    this.#watchdog = new Watchdog();
    this.#deadline = setTimeout(
      () => this.#lost('The box answers, but no path for picture and sound opens. Is its UDP port blocked?'),
      CONNECT_MS,
    );
    link.send({ type: 'discover' });
    link.send(settings(this.role !== 'view'));
  }

  /** A message of the control channel. @param {string} type @param {any} data */
  #heed(type, data) {
    if (type === 'fanlight::role') {
      this.peerId = data.peer;
      this.#takeRole(data.role);
    } else if (type === 'fanlight::pong') {
      this.echoMs = performance.now() - data.t;
      this.#tell('echo', data);
    } else if (type === 'fanlight::frames') {
      this.#tell('frames', data.frames);
      this.#ping();
    } else if (type === 'fanlight::stats') {
      this.box = data;
      this.#boxHeardAt = performance.now();
      this.#tell('box', data);
      if (data.problem && this.state !== 'playing') this.#become('waiting', data.problem);
    } else if (type === 'fanlight::clipboard') {
      this.#tell('clipboard', data.text);
    } else if (type === 'fanlight::notice') {
      this.#tell('notice', data.text);
    }
  }

  /** Once a second: numbers, an echo, and whether the picture still comes. */
  async #tick() {
    const peer = this.#peer;
    if (!peer?.connected) return;
    const sample = await this.stats();
    if (!sample || peer !== this.#peer || !peer.connected) return;
    if (sample.framesDecoded !== this.#decoded || this.echoMs === null) this.#ping();
    this.#decoded = sample.framesDecoded;
    this.#tell('stats', sample);
    const advice = this.#watchdog.look({
      now: sample.at,
      decoded: sample.framesDecoded,
      encoded: sample.at - this.#boxHeardAt < STATS_FRESH_MS ? this.box?.frames_encoded ?? null : null,
      hidden: document.hidden,
      explained: Boolean(this.box?.problem),
    });
    if (advice === 'keyframe') this.send('fanlight::keyframe', {});
    if (advice === 'rejoin') this.#lost('The picture stopped coming.');
  }

  #ping() {
    this.send('fanlight::ping', { t: performance.now() });
  }

  /** The peer is lost: the socket goes too, and the next attempt begins anew. @param {string} reason */
  #lost(reason) {
    if (this.ended) return;
    this.send('stream::disconnect', {});
    this.#become('reconnecting', reason);
    this.#dropPeer();
    this.#link?.close();
  }

  #dropPeer() {
    clearTimeout(this.#deadline);
    this.#peer?.close();
    this.#peer = null;
    this.#meter = null;
    this.peerId = null;
    this.sample = null;
    this.box = null;
    this.echoMs = null;
  }

  /** What a failed attempt means. @param {unknown} error */
  #judge(error) {
    if (this.ended) return;
    const status = error instanceof api.ApiError ? error.status : undefined;
    const text = error instanceof Error ? error.message : String(error);
    if (status === 401) return this.#end('unpaired', text);
    if (status === 403) return this.#end('forbidden', text);
    if (status === 404) return this.#end('gone', text);
    // A picture that plays outlives any trouble of the gateway.
    if (this.#peer?.connected) return undefined;
    this.#become(this.connections ? 'reconnecting' : 'connecting', text);
    return this.#dropPeer();
  }

  /** @param {Ending} ending @param {string} reason */
  #end(ending, reason) {
    if (this.ended) return;
    this.ending = ending;
    this.#life.abort();
    this.#become('ended', reason);
    this.#dropPeer();
    this.#link?.close();
  }

  /** @param {State} state @param {string} [reason] */
  #become(state, reason = '') {
    if (this.state === state && this.reason === reason) return;
    this.state = state;
    this.reason = reason;
    this.#tell('state', state);
  }

  #signaled(/** @type {boolean} */ open) {
    this.signaled = open;
    this.#tell('signaled', open);
  }

  /** @param {import('./api.js').Role} role */
  #takeRole(role) {
    this.role = role;
    this.#tell('role', role);
  }

  #tell(/** @type {string} */ type, /** @type {unknown} */ detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}
