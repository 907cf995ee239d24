'use strict';
// Long messages, whose rest is read from the kernel without Node's stream: where that is done, where it must
// not be, and that a program can't tell. `socket._handle.bytesRead` is what Node has read.
const assert = require('node:assert/strict');
const { createHash } = require('node:crypto');
const { once } = require('node:events');
const http = require('node:http');
const { test } = require('node:test');
const direct = require('../lib/direct.js');
const towline = require('./support/library.js');
const { answer, listen } = require('./support/listening.js');
const { frame } = require('./support/wire.js');

const { bun, deno } = process.versions;
const skip = process.platform !== 'linux' || bun || deno ? 'only on Linux, and only with Node' : false;

const MIB = 1 << 20;
const LIMITS = { maxReceivedFrameSize: 16 * MIB, maxReceivedMessageSize: 16 * MIB };

/** A connection of a server, and the peer at the other end. */
async function pair(t) {
  const httpServer = http.createServer();
  const port = await listen(t, httpServer);
  const server = new towline.server({ httpServer, ...LIMITS });
  const accepted = once(server, 'request').then(([request]) => request.accept(null, null));
  const { peer } = await answer(port, {});
  const connection = await accepted;
  connection.on('error', () => {});
  return { connection, peer, socket: connection.socket };
}

/** Bytes that repeat nowhere near. */
function bytes(length) {
  const words = new Uint32Array(length / 4);
  let word = 1;
  for (let at = 0; at < words.length; at += 1)
    words[at] = word = (Math.imul(word, 1664525) + 1013904223) >>> 0;
  return Buffer.from(words.buffer);
}

const masked = (options) => frame({ mask: true, ...options });
const digest = (data) => createHash('sha1').update(data).digest('hex');
const content = ({ binaryData, type, utf8Data }) => [type, digest(type === 'utf8' ? utf8Data : binaryData)];

/** How many bytes of the socket's Node has not read. */
const passed = (socket) => socket.bytesRead - socket._handle.bytesRead;

test('the rest of a long message is read straight from the kernel', { skip }, async (t) => {
  const { connection, peer, socket } = await pair(t);
  const before = socket.bytesRead;
  const texts = ['x'.repeat(3 * MIB), 'é€😀'.repeat(MIB / 4), `${'x'.repeat(2 * MIB)}é`];
  const frames = [
    { opcode: 'binary', payload: bytes(4 * MIB) },
    ...texts.map((payload) => ({ payload })),
    { payload: 'short' },
    { opcode: 'binary', payload: bytes(2 * MIB) },
  ];
  const sent = frames.map(masked);
  const arrived = [];
  connection.on('message', (message) => arrived.push(content(message)));
  for (const one of sent) peer.write(one);
  while (arrived.length < frames.length) await once(connection, 'message');
  assert.deepEqual(
    arrived,
    frames.map(({ opcode, payload }) => [opcode ?? 'utf8', digest(payload)]),
  );
  assert.ok(passed(socket) > MIB, `${passed(socket)} bytes`);
  assert.equal(
    socket.bytesRead - before,
    sent.reduce((sum, { length }) => sum + length, 0),
  );
  const { bytesRead } = socket;
  connection.drop(1000, '', true);
  assert.equal(socket.bytesRead, bytesRead);
});

test('others have their turn while a peer has much to say', { skip }, async (t) => {
  const { connection, peer, socket } = await pair(t);
  const sent = masked({ opcode: 'binary', payload: bytes(8 * MIB) });
  let count = 0;
  connection.on('message', () => (count += 1));
  for (let n = 0; n < 4; n += 1) peer.write(sent);
  const turns = [];
  let before = passed(socket);
  while (count < 4) {
    await new Promise((resolve) => setImmediate(resolve));
    turns.push(passed(socket) - before);
    before = passed(socket);
  }
  const most = Math.max(...turns);
  // What is read with one call of the kernel goes beyond.
  assert.ok(most > 0 && most < MIB + (128 << 10), `${most} bytes in a turn`);
});

/** What keeps Node reading. */
const REASONS = {
  'somebody else who listens': (socket) => socket.on('data', () => {}),
  'a timeout': (socket) => socket.setTimeout(60_000),
  ...Object.fromEntries(
    ['emit', 'push', 'read', '_read'].map((name) => [
      `${name} of the socket`,
      (socket) => {
        const original = socket[name];
        socket[name] = (...args) => original.apply(socket, args);
      },
    ]),
  ),
  'handleSocketData of the connection': (socket, connection) => {
    const { handleSocketData } = connection;
    connection.handleSocketData = function handle(chunk) {
      handleSocketData.call(this, chunk);
    };
  },
};

for (const [reason, arrange] of Object.entries(REASONS)) {
  test(`Node reads: ${reason}`, { skip }, async (t) => {
    const { connection, peer, socket } = await pair(t);
    arrange(socket, connection);
    const payload = bytes(3 * MIB);
    peer.send({ opcode: 'binary', payload });
    const [message] = await once(connection, 'message');
    assert.deepEqual(content(message), ['binary', digest(payload)]);
    assert.equal(passed(socket), 0);
  });
}

/** Plays with a connection from which Node reads, and with one of ours; both must look the same. */
function same(name, play) {
  test(`the same by Node: ${name}`, { skip }, async (t) => {
    const logs = [];
    for (const byNode of [true, false]) {
      const { connection, peer, socket } = await pair(t);
      if (byNode) REASONS['emit of the socket'](socket);
      const log = [];
      const line = (...words) => log.push(words);
      for (const event of ['pause', 'resume']) connection.on(event, () => line(event));
      connection.on('message', (message) => line(...content(message)));
      connection.on('close', (...values) => line('close', ...values));
      socket.on('end', () => line('end'));
      await play({ connection, peer, socket });
      connection.drop(1000, '', true);
      logs.push(log);
    }
    assert.deepEqual(logs[1], logs[0]);
    assert.ok(logs[0].length > 0);
  });
}

same('the peer ends right behind', async ({ connection, peer }) => {
  peer.holds = true;
  peer.send({ opcode: 'binary', payload: bytes(3 * MIB) });
  peer.socket.end();
  await connection.closed;
});

same('the peer closes right behind', async ({ connection, peer }) => {
  peer.send({ opcode: 'binary', payload: bytes(3 * MIB) });
  peer.close(4321, 'bye');
  await connection.closed;
});

same('a message is not all there', async ({ connection, peer }) => {
  peer.write(masked({ opcode: 'binary', payload: bytes(3 * MIB) }).subarray(0, 2 * MIB));
  peer.socket.end();
  await connection.closed;
});

same('a text that is none', async ({ connection, peer }) => {
  const payload = Buffer.alloc(3 * MIB, 'x');
  payload[2 * MIB] = 0xff;
  peer.send({ payload });
  await connection.closed;
});

same('fragments, with a ping between', async ({ connection, peer }) => {
  const payload = bytes(2 * MIB);
  peer.send({ opcode: 'binary', fin: false, payload });
  peer.send({ opcode: 'ping', payload: 'p' });
  peer.send({ opcode: 'continuation', payload });
  await once(connection, 'message');
  await peer.next();
});

same('a pause in each handler', async ({ connection, peer }) => {
  let count = 0;
  connection.on('message', () => {
    connection.pause();
    count += 1;
    setImmediate(() => connection.resume());
  });
  for (let n = 0; n < 4; n += 1) {
    peer.send({ opcode: 'binary', payload: bytes(MIB) });
    peer.send({ payload: `short ${n}` });
  }
  while (count < 8) await once(connection, 'message');
  await once(connection, 'resume');
});

test('an error of the kernel ends the socket as Node does it', { skip }, async (t) => {
  const seen = [];
  for (const fails of [
    ({ peer }) => peer.socket.resetAndDestroy(),
    ({ socket }) => direct.fail(socket, 104),
  ]) {
    const both = await pair(t);
    const failed = new Promise((resolve) => {
      both.socket.once('error', (error) => resolve({ ...error, message: error.message }));
    });
    fails(both);
    seen.push([await failed, await both.connection.closed]);
  }
  assert.deepEqual(seen[1], seen[0]);
  assert.equal(seen[0][0].code, 'ECONNRESET');
});
