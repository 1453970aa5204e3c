// Masters and viewers on AWS's own SDK, in a page or in Node. `KVSWebRTC` and WebRTC itself are global, and so is
// `stage`: a moving picture, a tone, and a place to play.

const TONE = 440;
const calls = new Map();
const lines = new Map();
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** One client's way to the service; where it is closed, it is opened again at the next endpoint. */
class Line {
  turn = -1;
  closed = false;

  constructor(settings, role, clientId, listeners) {
    Object.assign(this, { settings, role, clientId, listeners });
  }

  async open() {
    const { arn, endpoints, id, secret } = this.settings;
    this.turn += 1;
    const client = new KVSWebRTC.SignalingClient({
      channelARN: arn,
      channelEndpoint: endpoints[this.turn % endpoints.length],
      role: this.role,
      region: 'eu-north-1',
      clientId: this.clientId,
      credentials: { accessKeyId: id, secretAccessKey: secret },
      systemClockOffset: 0,
    });
    for (const [event, listener] of Object.entries(this.listeners)) client.on(event, listener);
    await new Promise((resolve, reject) => {
      client.on('open', resolve);
      client.on('error', reject);
      client.open();
    });
    client.on('close', () => this.again());
    this.client = client;
  }

  async again() {
    this.client = null;
    while (!this.closed && !this.client) {
      await pause(100);
      await this.open().catch(() => {});
    }
  }

  close() {
    this.closed = true;
    this.client?.close();
  }
}

/** One peer connection; candidates that come before the other side's description wait for it. */
class Call {
  states = [];

  constructor(settings, send) {
    this.pc = new RTCPeerConnection(settings.rtc);
    this.pc.addEventListener('connectionstatechange', () => this.states.push(this.pc.connectionState));
    this.described = new Promise((resolve) => { this.wasDescribed = resolve; });
    this.pc.addEventListener('icecandidate', ({ candidate }) => candidate && send(candidate));
    this.pc.addEventListener('track', ({ track }) => stage.play(track));
  }

  async describe(description) {
    await this.pc.setRemoteDescription(description);
    this.wasDescribed();
  }

  async try(candidate) {
    await this.described;
    await this.pc.addIceCandidate(candidate);
  }

  async stats(type, found = () => true) {
    return [...(await this.pc.getStats()).values()].filter((each) => each.type === type && found(each));
  }
}

function begin(name, line, send) {
  calls.get(name)?.pc.close();
  const call = new Call(line.settings, send);
  calls.set(name, call);
  return call;
}

/** Offers to watch as viewer `name`, and to speak; `told` is what comes over the data channel. */
export async function view(settings, name) {
  const line = new Line(settings, KVSWebRTC.Role.VIEWER, name, {
    sdpAnswer: (answer) => call.describe(answer),
    iceCandidate: (candidate) => call.try(candidate),
  });
  const call = begin(name, line, (candidate) => line.client.sendIceCandidate(candidate));
  lines.set(name, line);
  call.told = [];
  call.channel = call.pc.createDataChannel('kvsDataChannel');
  call.channel.addEventListener('message', ({ data }) => call.told.push(JSON.parse(data)));
  call.pc.addTransceiver('video', { direction: 'recvonly' });
  call.pc.addTransceiver(stage.tone(TONE), { direction: 'sendrecv' });
  await line.open();
  await call.pc.setLocalDescription(await call.pc.createOffer());
  line.client.sendSdpOffer(call.pc.localDescription);
}

/** Shows a picture and sounds a tone to whoever asks. */
export async function serve(settings) {
  const tracks = [stage.picture(), stage.tone(TONE)];
  const line = new Line(settings, KVSWebRTC.Role.MASTER, undefined, {
    sdpOffer: async (offer, viewer) => {
      const call = begin(viewer, line, (candidate) => line.client.sendIceCandidate(candidate, viewer));
      const stream = new MediaStream(tracks);
      for (const track of tracks) call.pc.addTrack(track, stream);
      await call.describe(offer);
      await call.pc.setLocalDescription(await call.pc.createAnswer());
      line.client.sendSdpAnswer(call.pc.localDescription, viewer);
    },
    iceCandidate: (candidate, viewer) => calls.get(viewer)?.try(candidate),
  });
  lines.set('master', line);
  await line.open();
}

/** A master that takes an offer and says nothing: the name of the viewer. */
export async function ignore(settings) {
  let heard;
  const offered = new Promise((resolve) => { heard = resolve; });
  const line = new Line(settings, KVSWebRTC.Role.MASTER, undefined, { sdpOffer: (_, viewer) => heard(viewer) });
  lines.set('master', line);
  await line.open();
  return offered;
}

/** Say something in the control protocol. */
export function say(name, type, data) {
  calls.get(name).channel.send(JSON.stringify({ type, data }));
}

/** What the box said over the data channel in messages of this type. */
export function told(name, type) {
  return calls.get(name).told.filter((each) => each.type === type).map((each) => JSON.parse(each.data));
}

/** What `getStats` says of what comes in, and of the way that it takes. */
export async function report(name) {
  const call = calls.get(name);
  const [picture] = await call.stats('inbound-rtp', (each) => each.kind === 'video');
  const [sound] = await call.stats('inbound-rtp', (each) => each.kind === 'audio');
  const [pair] = await call.stats('candidate-pair', (each) => each.nominated && each.state === 'succeeded');
  const [local] = await call.stats('local-candidate', (each) => each.id === pair?.localCandidateId);
  return {
    frames: picture?.framesDecoded ?? 0,
    width: picture?.frameWidth ?? 0,
    energy: sound?.totalAudioEnergy ?? 0,
    way: local?.candidateType ?? '',
    states: [call.pc.signalingState, ...call.states],
  };
}

/** All that the connection has been through. */
export function states(name) {
  return calls.get(name).states;
}

/** Which of its endpoints the line of a viewer, or of the master, is open at, counted on; -1 where at none. */
export function at(name) {
  const { client, turn } = lines.get(name);
  return client ? turn : -1;
}

export function leave(name) {
  calls.get(name).pc.close();
  lines.get(name).close();
}
