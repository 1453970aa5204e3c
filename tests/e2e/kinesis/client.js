// A master and a viewer on AWS's own SDK, which is loaded before as `KVSWebRTC`.

const connections = new Map();

function signaling(settings, role, clientId) {
  return new KVSWebRTC.SignalingClient({
    channelARN: settings.arn,
    channelEndpoint: settings.endpoint,
    role,
    region: 'eu-north-1',
    clientId,
    credentials: { accessKeyId: settings.id, secretAccessKey: settings.secret },
    systemClockOffset: 0,
  });
}

function connection(settings, name, send) {
  connections.get(name)?.close();
  const pc = new RTCPeerConnection(settings.rtc);
  connections.set(name, pc);
  pc.addEventListener('icecandidate', ({ candidate }) => candidate && send(candidate));
  pc.addEventListener('track', ({ streams, track }) => {
    if (track.kind === 'video') document.getElementById('video').srcObject = streams[0] ?? new MediaStream([track]);
  });
  return pc;
}

const opened = (client) => new Promise((resolve, reject) => {
  client.on('open', resolve);
  client.on('error', reject);
  client.open();
});

/** Offers to watch, as viewer `clientId`; `told` is what comes over the data channel. */
export async function view(settings, clientId) {
  const client = signaling(settings, KVSWebRTC.Role.VIEWER, clientId);
  const pc = connection(settings, clientId, (candidate) => client.sendIceCandidate(candidate));
  const channel = pc.createDataChannel('kvsDataChannel');
  window.told = [];
  channel.addEventListener('message', ({ data }) => window.told.push(data));
  pc.addTransceiver('video', { direction: 'recvonly' });
  pc.addTransceiver('audio', { direction: 'recvonly' });
  client.on('sdpAnswer', (answer) => pc.setRemoteDescription(answer));
  client.on('iceCandidate', (candidate) => pc.addIceCandidate(candidate));
  await opened(client);
  await pc.setLocalDescription(await pc.createOffer());
  client.sendSdpOffer(pc.localDescription);
  window.leave = () => { pc.close(); client.close(); };
}

/** Shows a canvas that changes to whoever asks. */
export async function serve(settings) {
  const client = signaling(settings, KVSWebRTC.Role.MASTER);
  const shown = Object.assign(document.createElement('canvas'), { width: 320, height: 240 });
  const pen = shown.getContext('2d');
  setInterval(() => {
    pen.fillStyle = `hsl(${performance.now() % 360} 80% 50%)`;
    pen.fillRect(0, 0, shown.width, shown.height);
  }, 50);
  const stream = shown.captureStream(20);
  client.on('sdpOffer', async (offer, viewer) => {
    const pc = connection(settings, viewer, (candidate) => client.sendIceCandidate(candidate, viewer));
    for (const track of stream.getTracks()) pc.addTrack(track, stream);
    await pc.setRemoteDescription(offer);
    await pc.setLocalDescription(await pc.createAnswer());
    client.sendSdpAnswer(pc.localDescription, viewer);
  });
  client.on('iceCandidate', (candidate, viewer) => connections.get(viewer)?.addIceCandidate(candidate));
  await opened(client);
}

/** What `getStats` says of the picture that comes in. */
export async function picture(name) {
  for (const each of (await connections.get(name).getStats()).values()) {
    if (each.type === 'inbound-rtp' && each.kind === 'video') return { frames: each.framesDecoded, width: each.frameWidth };
  }
  return { frames: 0, width: 0 };
}
