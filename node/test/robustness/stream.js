'use strict';
// Streams of frames as no decent peer would send them.
const { closing, frame } = require('../support/wire.js');

const TEXTS = ['', 'a', 'plain text', 'Grüße, 世界 🚢', '\u0000', 'é'.repeat(70), 'x'.repeat(200)];

function payload(random) {
  if (random.chance(0.5)) return Buffer.from(random.pick(TEXTS));
  return random.bytes(random.pick([0, 1, 2, 5, 20, 125, 126, 127, 300, 1000, 5000]));
}

/** A message in one frame or some, with control frames in between. */
function message(random, mask) {
  const text = random.chance(0.5);
  const data = text && random.chance(0.9) ? Buffer.from(random.pick(TEXTS)) : payload(random);
  const pieces = random.pick([1, 1, 1, 2, 3, 6]);
  const frames = [];
  for (let n = 0; n < pieces; n += 1) {
    const [from, to] = [n, n + 1].map((at) => Math.floor((data.length * at) / pieces));
    const opcode = n ? 'continuation' : text ? 'text' : 'binary';
    frames.push(frame({ opcode, fin: n === pieces - 1, mask, payload: data.subarray(from, to) }));
    if (random.chance(0.2)) frames.push(control(random, mask));
  }
  return Buffer.concat(frames);
}

function control(random, mask) {
  const opcode = random.pick(['ping', 'ping', 'pong']);
  return frame({ opcode, mask, payload: payload(random).subarray(0, 125) });
}

const close = (random, mask) =>
  frame({
    opcode: 'close',
    mask,
    payload: random.pick([
      closing(),
      closing(1000),
      closing(1000, 'bye ✓'),
      closing(4000 + random.below(1000)),
      closing(random.below(65536)),
      random.bytes(random.below(4)),
      Buffer.concat([closing(1001), random.bytes(3)]),
    ]),
  });

/** Anything that a frame's fields can say. */
const odd = (random, mask) =>
  frame({
    opcode: random.below(16),
    fin: random.chance(0.7),
    rsv: random.chance(0.3) ? random.below(8) : 0,
    mask: random.chance(0.9) ? mask : !mask,
    payload: payload(random),
    wide: random.chance(0.2),
    ...(random.chance(0.1) ? { length: random.pick([0, 3, 126, 70000, 2 ** 31, 2 ** 40, 2 ** 53]) } : {}),
  });

/** A stream; `wild` is how likely each of its parts is against the rules. */
function stream(random, mask, wild) {
  const parts = [];
  const count = 1 + random.below(30);
  for (let n = 0; n < count; n += 1) {
    if (random.chance(wild))
      parts.push(random.chance(0.8) ? odd(random, mask) : random.bytes(1 + random.below(40)));
    else parts.push(random.chance(0.8) ? message(random, mask) : control(random, mask));
  }
  if (random.chance(0.4)) parts.push(close(random, mask));
  const bytes = Buffer.concat(parts);
  if (random.chance(wild)) bytes[random.below(bytes.length)] ^= 1 << random.below(8);
  return random.chance(0.2) ? bytes.subarray(0, random.below(bytes.length + 1)) : bytes;
}

/** The stream in chunks, some of them tiny. */
function* chunks(random, bytes) {
  const largest = random.pick([1, 3, 20, 300, 100_000]);
  for (let at = 0; at < bytes.length;) {
    const size = 1 + random.below(largest);
    yield bytes.subarray(at, at + size);
    at += size;
  }
}

module.exports = { chunks, stream };
