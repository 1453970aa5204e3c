// A page that plays by an npm client of WHEP, which is served beside it.

import { WHEPClient } from './whep.js';

let pc;
let client;

function connection(policy) {
  pc = new RTCPeerConnection({ bundlePolicy: 'max-bundle', iceTransportPolicy: policy });
  const shown = document.getElementById('video');
  shown.srcObject = new MediaStream();
  pc.addEventListener('track', ({ track }) => shown.srcObject.addTrack(track));
}

/** Watches `url` in `codec`, by `policy` (`all` or `relay`); the ICE servers are those of the answer. */
export async function play(url, token, codec, policy) {
  connection(policy);
  const video = pc.addTransceiver('video', { direction: 'recvonly' });
  pc.addTransceiver('audio', { direction: 'recvonly' });
  const known = RTCRtpReceiver.getCapabilities('video').codecs;
  video.setCodecPreferences(known.filter(({ mimeType }) => [`video/${codec}`, 'video/rtx'].includes(mimeType)));
  client = new WHEPClient();
  await client.view(pc, url, token);
}

/** Takes what is published: the answer to `offer`, with all candidates. */
export async function take(offer) {
  connection('all');
  await pc.setRemoteDescription({ type: 'offer', sdp: offer });
  await pc.setLocalDescription(await pc.createAnswer());
  while (pc.iceGatheringState !== 'complete') {
    await new Promise((resolve) => pc.addEventListener('icegatheringstatechange', resolve, { once: true }));
  }
  return pc.localDescription.sdp;
}

/** What `getStats` says of picture and sound that come in. */
export async function playing() {
  const stats = (await pc?.getStats()) ?? new Map();
  const told = { frames: 0, width: 0, samples: 0, codecs: [], local: '' };
  for (const each of stats.values()) {
    if (each.type === 'inbound-rtp') told.codecs.push(stats.get(each.codecId)?.mimeType);
    if (each.type === 'inbound-rtp' && each.kind === 'video') {
      Object.assign(told, { frames: each.framesDecoded, width: each.frameWidth });
    }
    if (each.type === 'inbound-rtp' && each.kind === 'audio') {
      told.samples = each.totalSamplesReceived - each.concealedSamples;
    }
    if (each.type === 'candidate-pair' && each.nominated) told.local = stats.get(each.localCandidateId).candidateType;
  }
  return told;
}

/** Leaves as a player should. */
export const stop = () => client.stop();
