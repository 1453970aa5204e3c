// The same clients without a browser: `node.js MODULES` calls functions of client.js, a line of JSON each.

import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';

const require = createRequire(`${process.argv[2]}/`);
const { nonstandard, ...webrtc } = require('@roamhq/wrtc');
Object.assign(globalThis, webrtc);
globalThis.WebSocket ??= require('ws'); // older Nodes have none
globalThis.KVSWebRTC = require('amazon-kinesis-video-streams-webrtc');

const [WIDTH, HEIGHT, RATE] = [320, 240, 48000];

globalThis.stage = {
  picture() {
    const source = new nonstandard.RTCVideoSource();
    const data = new Uint8ClampedArray(WIDTH * HEIGHT * 1.5);
    setInterval(() => source.onFrame({ width: WIDTH, height: HEIGHT, data: data.fill(Date.now() & 0xff) }), 50);
    return source.createTrack();
  },
  tone(frequency) {
    const source = new nonstandard.RTCAudioSource();
    const samples = new Int16Array(RATE / 100);
    const began = performance.now();
    let sent = 0;
    setInterval(() => {
      for (; sent < ((performance.now() - began) * RATE) / 1000; sent += samples.length) {
        const at = (index) => (2 * Math.PI * frequency * (sent + index)) / RATE;
        source.onData({
          samples: samples.map((_, index) => 12000 * Math.sin(at(index))),
          sampleRate: RATE, bitsPerSample: 16, channelCount: 1, numberOfFrames: samples.length,
        });
      }
    }, 10);
    return source.createTrack();
  },
  play() {},
};

const client = await import('./client.js');
for await (const line of createInterface({ input: process.stdin })) {
  const [name, given] = JSON.parse(line);
  const answer = {};
  try {
    answer.value = await client[name](...given);
  } catch (error) {
    answer.error = `${error?.stack ?? error}`;
  }
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
process.exit();
