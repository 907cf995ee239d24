'use strict';
// Compressed messages, good ones and spoilt ones, cut at random places, in both roles: what is good
// is received, and nothing is thrown.
const assert = require('node:assert/strict');
const { once } = require('node:events');
const { test } = require('node:test');
const { constants, deflateRawSync, inflateRawSync } = require('node:zlib');
const { Random } = require('../support/random.js');
const { connect } = require('./fuzzed.js');
const { chunks } = require('./stream.js');

const SEED = Number(process.env.TOWLINE_FUZZ_SEED ?? 1);
const RUNS = Number(process.env.TOWLINE_FUZZ_RUNS ?? 250) / 2;
const EXTENSION = {
  'Sec-WebSocket-Extensions': 'permessage-deflate; server_no_context_takeover; client_no_context_takeover',
};
const CONFIG = {
  maxReceivedFrameSize: 50_000,
  maxReceivedMessageSize: 50_000,
  closeTimeout: 500,
  perMessageDeflate: { serverNoContextTakeover: true, clientNoContextTakeover: true, threshold: 0 },
};
const RSV1 = 4;
const TAIL = Buffer.from([0, 0, 0xff, 0xff]);

const compress = (data) =>
  deflateRawSync(data, { finishFlush: constants.Z_SYNC_FLUSH }).subarray(0, -TAIL.length);
const decompress = (data) =>
  inflateRawSync(Buffer.concat([data, TAIL]), { finishFlush: constants.Z_SYNC_FLUSH });

function message(random) {
  const words = Array.from({ length: random.below(200) }, () =>
    random.pick(['ship', 'ahoy ', 'é', '🚢', '{"a":1}', '\n']),
  );
  if (random.chance(0.5)) return { opcode: 'text', data: Buffer.from(words.join('')) };
  return {
    opcode: 'binary',
    data: random.chance(0.5) ? random.bytes(random.below(500)) : Buffer.alloc(random.below(20_000), 7),
  };
}

/** The frames of a message, compressed or not, in one piece or some. */
function frames(random, peer, { opcode, data }) {
  const isCompressed = random.chance(0.8);
  const payload = isCompressed ? compress(data) : data;
  const pieces = random.pick([1, 1, 2, 5]);
  return Array.from({ length: pieces }, (_, n) =>
    peer.frame({
      opcode: n ? 'continuation' : opcode,
      fin: n === pieces - 1,
      rsv: isCompressed && n === 0 ? RSV1 : 0,
      payload: payload.subarray(
        Math.floor((n * payload.length) / pieces),
        Math.floor(((n + 1) * payload.length) / pieces),
      ),
    }),
  );
}

async function write(random, peer, bytes) {
  for (const chunk of chunks(random, bytes)) {
    if (peer.socket.destroyed || !peer.socket.writable) return;
    peer.write(chunk);
    if (random.chance(0.3)) await new Promise(setImmediate);
  }
}

for (const role of ['server', 'client']) {
  test(`a ${role} receives what is compressed, and sends it back compressed`, async () => {
    for (let run = 0; run < RUNS; run += 1) {
      const random = new Random(SEED * 5_000_011 + run);
      const { connection, peer } = await connect(
        role,
        { ...CONFIG, fragmentOutgoingMessages: false },
        EXTENSION,
      );
      connection.on('message', ({ utf8Data, binaryData }) => connection.send(utf8Data ?? binaryData));
      const sent = Array.from({ length: 1 + random.below(8) }, () => message(random));
      const answers = (async () => {
        for (const { opcode, data } of sent) {
          const frame = await peer.next();
          assert.equal(frame?.opcode, opcode);
          const payload = frame.rsv === RSV1 ? decompress(frame.payload) : frame.payload;
          assert.ok(payload.equals(data), `run ${run}: ${payload.length} came back, not ${data.length}`);
        }
      })();
      await write(random, peer, Buffer.concat(sent.flatMap((each) => frames(random, peer, each))));
      await answers;
      peer.close(1000);
      await once(connection, 'close');
    }
  });

  test(`a ${role} survives whatever says it is compressed`, async () => {
    for (let run = 0; run < RUNS; run += 1) {
      const random = new Random(SEED * 6_000_011 + run);
      const { connection, peer } = await connect(role, CONFIG, EXTENSION);
      connection.on('error', () => {});
      connection.on('message', ({ utf8Data, binaryData }) => connection.send(utf8Data ?? binaryData));
      const parts = Array.from({ length: 1 + random.below(6) }, () =>
        random.chance(0.5)
          ? Buffer.concat(frames(random, peer, message(random)))
          : peer.frame({
              opcode: random.pick(['text', 'binary']),
              rsv: RSV1,
              payload: random.bytes(random.below(300)),
            }),
      );
      const bytes = Buffer.concat(parts);
      for (let n = random.below(4); n; n -= 1) bytes[random.below(bytes.length)] ^= 1 << random.below(8);
      const closed = once(connection, 'close');
      peer.socket.resume();
      await write(random, peer, bytes);
      peer.socket.end();
      await closed;
    }
  });

  test(`a ${role} does not unpack a bomb`, async () => {
    const { connection, peer } = await connect(role, CONFIG, EXTENSION);
    const closed = once(connection, 'close');
    peer.send({ opcode: 'binary', rsv: RSV1, payload: compress(Buffer.alloc(8 << 20)) });
    assert.equal((await closed)[0], 1009);
  });
}
