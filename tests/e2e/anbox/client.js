// A streaming client of the Anbox gateway, written from the wire protocol as published. It knows nothing of
// Fanlight, and is as strict as the vendor's own client: exact status codes, a list of ICE servers, both kinds
// of media before it plays.

const SIGNALING_TIMEOUT_MS = 5 * 60 * 1000;
const DISCONNECTED_MS = 10_000;
const UNTOUCHED = { echoCancellation: false, noiseSuppression: false, autoGainControl: false };

export const Code = Object.freeze({
  UNKNOWN: 0,
  INVALID_ARGUMENT: 1,
  SIGNALING_FAILED: 2,
  CONNECTOR_FAILED: 3,
  ICE_FAILED: 9,
  LOST_CONNECTION: 10,
  SIGNALING_TIMEOUT: 11,
  CONTROL_CHANNEL: 13,
  DISCONNECTED: 14,
});

class StreamError extends Error {
  constructor(code, message) {
    super(message);
    this.code = code;
  }
}

// Asks the gateway for a session: joins `session.id`, or creates one for `session.app`.
export class GatewayConnector {
  constructor({ url, token, session }) {
    Object.assign(this, { url, token, session });
  }

  async connect() {
    return this.session.id ? this.#join() : this.#create();
  }

  async #create() {
    const { app, region = '', joinable = false, ephemeral, screen, idleTimeMin, appVersion } = this.session;
    const body = { app, region, joinable, screen, extra_data: null };
    if (ephemeral !== undefined) body.ephemeral = ephemeral;
    if (idleTimeMin !== undefined) body.idle_time_min = idleTimeMin;
    if (appVersion !== undefined) body.app_version = appVersion;
    const made = await this.#post('/1.0/sessions/', body, 201, 'create');
    return { id: made.id, status: made.status, url: made.url, servers: made.stun_servers };
  }

  async #join() {
    const { id, screen } = this.session;
    const joined = await this.#post(`/1.0/sessions/${id}/join`, screen ? { screen } : {}, 200, 'join');
    return { id, url: joined.url, servers: joined.stun_servers };
  }

  async #post(path, body, wanted, what) {
    const answer = await fetch(this.url + path, {
      method: 'POST',
      headers: {
        Accept: 'application/json, text/plain, */*',
        'Content-Type': 'application/json',
        Authorization: `Macaroon root=${this.token}`,
      },
      body: JSON.stringify(body),
    });
    if (answer.status !== wanted) {
      throw new StreamError(Code.CONNECTOR_FAILED, `failed to ${what} session: HTTP ${answer.status}`);
    }
    const envelope = await answer.json();
    if (envelope.status !== 'success') {
      throw new StreamError(Code.CONNECTOR_FAILED, `failed to ${what} session: ${envelope.status}`);
    }
    return envelope.metadata;
  }
}

// One stream in `element`. `ready` settles once it plays or has failed; `done` when it is over.
export class AnboxStream {
  constructor(connector, element, options = {}) {
    this.options = {
      apiVersion: 2,
      audio: true,
      video: true,
      microphone: false,
      camera: false,
      dataChannels: [],
      codecs: null,
      answerLate: false, // after the first candidate
      ...options,
    };
    this.messages = []; // what came through the control channel
    this.log = []; // [event, ms since the start]
    this.error = null;
    this.session = null;
    this.media = { audio: null, video: null };
    this.channels = {};
    this.received = {}; // texts and bytes by channel
    this.senders = {}; // of microphone and camera
    this.ready = new Promise((resolve, reject) => Object.assign(this, { play: resolve, fail: reject }));
    this.ready.catch(() => {});
    this.done = new Promise((resolve) => Object.assign(this, { finish: resolve }));
    this.connector = connector;
    this.element = element;
    this.began = performance.now();
  }

  async connect() {
    try {
      this.session = await this.connector.connect();
      this.log.push(['session', this.#now()]);
      const servers = this.session.servers;
      if (servers.length > 0) this.log.push(['servers', this.#now()]);
      const iceServers = servers.map(({ urls, username, password }) => ({ urls, username, credential: password }));
      this.timeout = setTimeout(
        () => this.stop(new StreamError(Code.SIGNALING_TIMEOUT, 'signaling timed out')),
        SIGNALING_TIMEOUT_MS,
      );
      this.socket = new WebSocket(this.session.url);
      this.socket.onopen = () => this.#open(iceServers);
      this.socket.onmessage = (event) => this.#signal(JSON.parse(event.data));
      this.socket.onerror = () => this.stop(new StreamError(Code.SIGNALING_FAILED, 'the WebSocket failed'));
    } catch (error) {
      this.stop(error instanceof StreamError ? error : new StreamError(Code.UNKNOWN, String(error)));
    }
    return this.ready;
  }

  // What the vendor's client sends when its user leaves.
  disconnect() {
    this.send('stream::disconnect', {});
    this.stop(null);
  }

  send(type, data) {
    const control = this.control;
    if (!control || control.readyState !== 'open') return false;
    control.send(JSON.stringify({ type, data }));
    return true;
  }

  stop(error) {
    if (this.over) return;
    this.over = true;
    this.error = error && { code: error.code, message: error.message };
    this.log.push(['stop', this.#now()]);
    clearTimeout(this.timeout);
    clearTimeout(this.lost);
    this.socket?.close();
    if (this.pc && this.pc.connectionState !== 'closed') setTimeout(() => this.pc.close(), 100);
    this.fail(error ?? new StreamError(Code.UNKNOWN, 'stopped'));
    this.finish();
  }

  async report() {
    const stats = this.pc ? [...(await this.pc.getStats()).values()] : [];
    const inbound = (kind) => stats.find((each) => each.type === 'inbound-rtp' && each.kind === kind);
    const video = inbound('video');
    const codec = video && stats.find((each) => each.id === video.codecId);
    const screen = this.element.querySelector('video');
    return {
      error: this.error,
      over: Boolean(this.over),
      socket: this.socket?.readyState,
      ice: this.pc?.iceConnectionState,
      codec: codec?.mimeType ?? null,
      frames: video?.framesDecoded ?? 0,
      keyFrames: video?.keyFramesDecoded ?? 0,
      width: screen?.videoWidth ?? 0,
      height: screen?.videoHeight ?? 0,
      streams: { audio: this.media.audio?.id ?? null, video: this.media.video?.id ?? null },
      channels: Object.fromEntries(Object.entries(this.channels).map(([name, each]) => [name, each.readyState])),
      lines: (this.pc?.remoteDescription?.sdp ?? '').split('\r\n').filter((line) => line.startsWith('m=')),
      directions: (this.pc?.getTransceivers() ?? []).filter((each) => each.mid !== null)
        .map((each) => [each.receiver.track.kind, each.currentDirection]),
      remote: this.pc?.remoteDescription?.sdp ?? '',
    };
  }

  #now() {
    return performance.now() - this.began;
  }

  #open(iceServers) {
    this.log.push(['socket', this.#now()]);
    const pc = (this.pc = new RTCPeerConnection({ iceServers }));
    pc.ontrack = (event) => this.#track(event);
    pc.onicecandidate = (event) => event.candidate && this.#trickle(event.candidate);
    pc.oniceconnectionstatechange = () => this.#iceChanged();
    this.control = pc.createDataChannel('control');
    this.control.onmessage = (event) => this.#heard(JSON.parse(event.data));
    this.control.onerror = () => this.stop(new StreamError(Code.DISCONNECTED, 'disconnected by the server'));
    this.control.onclose = () => this.log.push(['control closed', this.#now()]);
    for (const name of this.options.dataChannels) {
      this.channels[name] = pc.createDataChannel(name);
      this.channels[name].binaryType = 'arraybuffer';
      this.received[name] = '';
      this.channels[name].onmessage = ({ data }) => {
        this.received[name] += typeof data === 'string' ? data : new TextDecoder().decode(data);
      };
    }
    this.early = [];
    this.answered = this.options.apiVersion === 1;
    this.trickled = new Promise((resolve) => (this.trickle = resolve));
    this.#say({ type: 'discover' });
  }

  #say(message) {
    if (this.socket.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(message));
  }

  async #signal(message) {
    this.log.push([message.type, this.#now()]);
    try {
      switch (message.type) {
        case 'resp:discover':
          return await this.#settle(message);
        case 'offer':
          return await this.#answer(atob(message.sdp));
        case 'answer':
          await this.pc.setRemoteDescription({ type: 'answer', sdp: atob(message.sdp) });
          return this.#flush();
        case 'candidate':
          return await this.#candidate(message);
        case 'error':
          return this.stop(new StreamError(Code.SIGNALING_FAILED, message.message));
        default:
          console.error(`Unknown message type ${message.type}`);
      }
    } catch (error) {
      this.stop(new StreamError(Code.UNKNOWN, String(error)));
    }
  }

  async #settle(discovered) {
    const { apiVersion, audio, video, microphone, camera, dataChannels, codecs } = this.options;
    this.fps = discovered.fps;
    if (apiVersion > discovered.max_api_version) {
      return this.stop(new StreamError(Code.INVALID_ARGUMENT, 'API version not supported by server'));
    }
    if (apiVersion === 1) {
      this.#say({ type: 'settings', api_version: 1 });
      return this.#offer();
    }
    const settings = {
      type: 'settings',
      api_version: apiVersion,
      data_channels: dataChannels,
      enable_speaker: audio,
      enable_microphone: microphone,
      enable_video: video,
      enable_camera: camera,
    };
    if (codecs) settings.video = { preferred_decoder_codecs: codecs };
    this.#say(settings);
  }

  async #offer() {
    const { audio, video, microphone, camera } = this.options;
    if (microphone) this.senders.audio = this.#addPlaceholder(silence());
    else if (audio) this.pc.addTransceiver('audio', { direction: 'recvonly' });
    if (camera) this.senders.video = this.#addPlaceholder(blackness());
    else if (video) this.pc.addTransceiver('video', { direction: 'recvonly' });
    const offer = await this.pc.createOffer();
    await this.pc.setLocalDescription(offer);
    this.#say({ type: 'offer', sdp: btoa(offer.sdp), dataChannels: this.options.dataChannels });
  }

  async #answer(sdp) {
    this.offered = sdp;
    const { audio, video, microphone, camera, answerLate } = this.options;
    await this.pc.setRemoteDescription({ type: 'offer', sdp });
    // Too late to be in the answer, which has only the media lines of the offer: so does the vendor's client.
    if (audio) this.pc.addTransceiver('audio', { direction: 'recvonly' });
    if (video) this.pc.addTransceiver('video', { direction: 'recvonly' });
    if (microphone) this.senders.audio = this.#addPlaceholder(silence());
    if (camera) this.senders.video = this.#addPlaceholder(blackness());
    const answer = await this.pc.createAnswer();
    await this.pc.setLocalDescription(answer);
    if (answerLate) await this.trickled;
    this.#say({ type: 'answer', sdp: btoa(answer.sdp) });
    this.answered = true;
    if (this.pc.iceConnectionState === 'connected') this.socket.close();
    return this.#flush();
  }

  #addPlaceholder(stream) {
    return this.pc.addTrack(stream.getTracks()[0], stream);
  }

  // The real device in the place of what was sent until now; the user is asked.
  async open(kind, constraints) {
    const stream = await navigator.mediaDevices.getUserMedia({ [kind]: constraints });
    await this.senders[kind]?.replaceTrack(stream.getTracks()[0]);
    this.log.push([`${kind} open`, this.#now()]);
  }

  #trickle(candidate) {
    this.#say({
      type: 'candidate',
      candidate: btoa(candidate.candidate),
      sdpMid: candidate.sdpMid,
      sdpMLineIndex: candidate.sdpMLineIndex,
    });
    this.trickle();
  }

  async #candidate({ candidate, sdpMid, sdpMLineIndex }) {
    const parsed = { candidate: atob(candidate), sdpMid, sdpMLineIndex };
    if (this.early) this.early.push(parsed);
    else await this.pc.addIceCandidate(parsed);
  }

  async #flush() {
    const early = this.early ?? [];
    this.early = null;
    for (const each of early) await this.pc.addIceCandidate(each);
  }

  #iceChanged() {
    const state = this.pc.iceConnectionState;
    this.log.push([`ice ${state}`, this.#now()]);
    clearTimeout(this.lost);
    if (state === 'connected') {
      clearTimeout(this.timeout);
      if (this.answered) this.socket.close();
      if (!this.options.audio && !this.options.video) this.#ready();
    } else if (state === 'disconnected') {
      const lost = new StreamError(Code.LOST_CONNECTION, 'lost the connection');
      this.lost = setTimeout(() => this.stop(lost), DISCONNECTED_MS);
    } else if (state === 'failed') {
      this.stop(new StreamError(Code.ICE_FAILED, 'no way to the server'));
    }
  }

  #track(event) {
    const stream = event.streams[0];
    stream.onremovetrack = () => this.stop(null);
    this.media[event.track.kind] = stream;
    const { audio, video } = this.options;
    if ((audio && !this.media.audio) || (video && !this.media.video)) return;
    if (this.media.audio) this.#show('audio', this.media.audio);
    if (this.media.video) this.#show('video', this.media.video).onplay = () => this.#ready();
    else this.#ready();
  }

  #show(kind, stream) {
    const shown = document.createElement(kind);
    shown.autoplay = true;
    if (kind === 'video') shown.muted = shown.playsInline = true;
    shown.srcObject = stream;
    this.element.append(shown);
    return shown;
  }

  #ready() {
    if (this.over) return;
    this.log.push(['ready', this.#now()]);
    this.play();
  }

  // What is built in has its data encoded once more.
  #heard({ type, data }) {
    this.messages.push({ type, data });
    if (type === 'enable-microphone') {
      const { freq, channels } = JSON.parse(data);
      this.open('audio', { sampleRate: freq, channelCount: channels, ...UNTOUCHED });
    } else if (type === 'open-camera') {
      const { resolution } = JSON.parse(data);
      this.open('video', { width: resolution.width, height: resolution.height });
    }
  }
}

function silence() {
  return new AudioContext().createMediaStreamDestination().stream;
}

function blackness() {
  const canvas = Object.assign(document.createElement('canvas'), { width: 320, height: 240 });
  canvas.getContext('2d').fillRect(0, 0, canvas.width, canvas.height);
  return canvas.captureStream(5);
}
