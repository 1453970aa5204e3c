// Reads the frame counter (tests/support/counter.py) from every presented frame of the page's video.
// window.__probe.frames: [code, callback ms, presentation ms, received ms or 0, RTP timestamp, decoding ms], wall clock.
(() => {
  const BLOCK = 24, BITS = 16;
  const probe = (window.__probe = { frames: [], firstFrame: 0, bad: 0, began: performance.timeOrigin });
  // The next frame as it is seen: its code and a PNG as a data URL.
  probe.picture = () => new Promise((taken) => (probe.taken = taken));
  const Peer = window.RTCPeerConnection;
  probe.peers = [];
  probe.channels = [];
  window.RTCPeerConnection = class extends Peer {
    constructor(...options) {
      super(...options);
      probe.peers.push(this);
    }
    createDataChannel(...options) {
      probe.channels.push(super.createDataChannel(...options));
      return probe.channels.at(-1);
    }
  };
  const canvas = document.createElement('canvas');
  canvas.width = BLOCK * 19;
  canvas.height = BLOCK;
  const context = canvas.getContext('2d', { willReadFrequently: true });
  const seen = new WeakSet();
  const read = (video) => {
    context.drawImage(video, 0, 0, canvas.width, BLOCK, 0, 0, canvas.width, BLOCK);
    const row = context.getImageData(0, BLOCK / 2, canvas.width, 1).data;
    const lit = (index) => row[(index * BLOCK + BLOCK / 2) * 4] > 128;
    if (!lit(BITS) || lit(BITS + 1) || !lit(BITS + 2)) return null;
    let code = 0;
    for (let index = 0; index < BITS; index++) if (lit(index)) code |= 1 << index;
    for (let mask = code >> 1; mask; mask >>= 1) code ^= mask;
    return code;
  };
  const drawn = (video) => {
    const whole = document.createElement('canvas');
    whole.width = video.videoWidth;
    whole.height = video.videoHeight;
    whole.getContext('2d').drawImage(video, 0, 0);
    return whole.toDataURL('image/png');
  };
  const follow = (video) => {
    seen.add(video);
    const step = (now, meta) => {
      const at = performance.timeOrigin + performance.now();
      if (!probe.firstFrame) probe.firstFrame = at;
      const code = read(video);
      if (code === null) probe.bad++;
      else
        probe.frames.push([
          code,
          at,
          performance.timeOrigin + meta.presentationTime,
          meta.receiveTime ? performance.timeOrigin + meta.receiveTime : 0,
          meta.rtpTimestamp ?? 0,
          (meta.processingDuration ?? 0) * 1000,
        ]);
      if (code !== null && probe.taken) {
        probe.taken([code, drawn(video)]);
        probe.taken = null;
      }
      video.requestVideoFrameCallback(step);
    };
    video.requestVideoFrameCallback(step);
  };
  const look = () => document.querySelectorAll('video').forEach((video) => seen.has(video) || follow(video));
  new MutationObserver(look).observe(document, { childList: true, subtree: true });
  document.addEventListener('DOMContentLoaded', look);
})();
