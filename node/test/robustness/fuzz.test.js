'use strict';
// Random and mutated frames, cut at random places, sent to connections in both roles: nothing is
// thrown, and what is received, answered and refused is what the model says.
//
//   TOWLINE_FUZZ_SEED=7 TOWLINE_FUZZ_RUNS=5000 node --test …/fuzz.test.js
const assert = require('node:assert/strict');
const { once } = require('node:events');
const { test } = require('node:test');
const { Random } = require('../support/random.js');
const { expected } = require('./model.js');
const { chunks, stream } = require('./stream.js');
const { connect } = require('./fuzzed.js');

const SEED = Number(process.env.TOWLINE_FUZZ_SEED ?? 1);
const RUNS = Number(process.env.TOWLINE_FUZZ_RUNS ?? 250);
const CONFIG = {
  maxReceivedFrameSize: 2000,
  maxReceivedMessageSize: 4000,
  fragmentOutgoingMessages: false,
  closeTimeout: 500,
};

/** Sends the stream, hangs up, and returns all that either side has seen. */
async function play(role, bytes, random, config) {
  const { connection, peer } = await connect(role, { ...CONFIG, ...config });
  const seen = { messages: [], frames: 0, closes: [] };
  connection.on('message', ({ type, utf8Data, binaryData }) => {
    const data = type === 'utf8' ? Buffer.from(utf8Data) : binaryData;
    seen.messages.push([type === 'utf8' ? 'text' : 'binary', data.toString('hex')]);
  });
  connection.on('frame', () => {
    seen.frames += 1;
  });
  connection.on('error', () => {});
  const closed = new Promise((resolve) => {
    connection.on('close', (code) => {
      seen.closes.push(code);
      resolve();
    });
  });
  const answers = peer.rest();
  for (const chunk of chunks(random, bytes)) {
    if (peer.socket.destroyed || !peer.socket.writable) break;
    peer.write(chunk);
    if (random.chance(0.5)) await new Promise(setImmediate);
  }
  peer.socket.end();
  await closed;
  seen.answers = await answers;
  assert.equal(connection.connected, false);
  return seen;
}

function check(seen, { messages, pings, end, code, partial, byClose }) {
  assert.deepEqual(seen.messages, messages);
  assert.equal(seen.closes.length, 1, 'one close event');
  const pongs = seen.answers
    .filter(({ opcode }) => opcode === 'pong')
    .map(({ payload }) => payload.toString('hex'));
  const last = seen.answers.at(-1);
  const closeCode =
    last?.opcode !== 'close' ? undefined : last.payload.length ? last.payload.readUInt16BE() : 1005;
  // A flood of pings may be answered by the latest; what is answered is answered in order.
  let at = 0;
  for (const pong of pongs) {
    at = pings.indexOf(pong, at) + 1;
    assert.ok(at > 0, `a pong that nobody asked for, or out of order: ${pong}`);
  }
  if (end === 'fault') {
    if (closeCode !== undefined) assert.equal(closeCode, code, 'the code of the fault');
    assert.ok(byClose || seen.closes[0] === code, `closed with ${seen.closes[0]}, not ${code}`);
  } else if (end === 'closed') {
    assert.equal(closeCode, code, 'the answer to a close frame');
    assert.equal(seen.closes[0], code);
  } else if (!partial) {
    assert.equal(seen.closes[0], 1006);
    assert.equal(closeCode, undefined);
  } else assert.ok([1006, 1002, 1007, 1009].includes(seen.closes[0]), `closed with ${seen.closes[0]}`);
}

for (const role of ['server', 'client']) {
  test(`a ${role}'s connection makes of any stream what the model does`, async () => {
    const masked = role === 'server';
    for (let run = 0; run < RUNS; run += 1) {
      const seed = SEED * 1_000_003 + run;
      const random = new Random(seed);
      const bytes = stream(random, masked, random.pick([0, 0, 0.02, 0.2, 0.7]));
      const model = expected(bytes, {
        masked,
        frameLimit: CONFIG.maxReceivedFrameSize,
        messageLimit: CONFIG.maxReceivedMessageSize,
      });
      try {
        check(await play(role, bytes, random), model);
      } catch (error) {
        error.message = `seed ${seed}: ${error.message}\nmodel ${JSON.stringify(model)}\n${bytes.toString('hex')}`;
        throw error;
      }
    }
  });

  test(`a ${role}'s connection survives any stream, frame by frame`, async () => {
    for (let run = 0; run < RUNS / 4; run += 1) {
      const random = new Random(SEED * 2_000_003 + run);
      const bytes = stream(random, role === 'server', random.pick([0, 0.1, 0.5]));
      const seen = await play(role, bytes, random, { assembleFragments: false });
      assert.ok(seen.frames >= seen.messages.length);
      assert.equal(seen.closes.length, 1);
    }
  });

  test(`a ${role}'s connection survives any stream under a program that acts at random`, async () => {
    for (let run = 0; run < RUNS / 4; run += 1) {
      const random = new Random(SEED * 3_000_017 + run);
      const bytes = stream(random, role === 'server', 0.05);
      const { connection, peer } = await connect(role, CONFIG);
      connection.on('error', () => {});
      connection.on('message', () => act(connection, random));
      connection.on('ping', (cancel) => {
        if (random.chance(0.3)) cancel();
        act(connection, random);
      });
      const closed = once(connection, 'close');
      for (const chunk of chunks(random, bytes)) {
        if (peer.socket.destroyed || !peer.socket.writable) break;
        peer.write(chunk);
        await new Promise(setImmediate);
      }
      connection.resume();
      peer.socket.end();
      await closed;
    }
  });
}

function act(connection, random) {
  const actions = [
    () => connection.sendUTF('text'),
    () => connection.sendBytes(random.bytes(30)),
    () => connection.ping('p'),
    () => connection.send('x', () => {}),
    () => {},
    () => {},
    () => connection.pong(Buffer.from('p')),
    () => {
      connection.pause();
      setImmediate(() => connection.resume());
    },
  ];
  if (random.chance(0.02)) actions.push(() => connection.close(4000, 'enough'));
  if (random.chance(0.02)) actions.push(() => connection.drop(4001, 'out'));
  if (connection.connected) random.pick(actions)();
}
