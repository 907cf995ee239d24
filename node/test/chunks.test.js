'use strict';
// Payloads are unmasked in place only in memory that nobody else can have. What others have stays as it is.
const assert = require('node:assert/strict');
const { once } = require('node:events');
const http = require('node:http');
const https = require('node:https');
const net = require('node:net');
const { test } = require('node:test');
const { Duplex, PassThrough } = require('node:stream');
const tls = require('node:tls');
const towline = require('./support/library.js');
const { answer, listen } = require('./support/listening.js');
const { frame, upgradeRequest } = require('./support/wire.js');

const { bun, deno } = process.versions;

/** Those in one piece, and a long one, of which there are several. */
const SIZES = [11, 5_000, 200_000];

const LIMITS = { maxReceivedFrameSize: 1 << 20 };

const masked = (payload) => frame({ mask: true, opcode: 'binary', payload });
const filled = (size) => Buffer.alloc(size, 'what was sent ');

/** A connection of a server, and the peer at the other end. */
async function pair(t) {
  const httpServer = http.createServer();
  const port = await listen(t, httpServer);
  const server = new towline.server({ ...LIMITS, httpServer });
  const accepted = once(server, 'request').then(([request]) => request.accept(null, null));
  const { peer } = await answer(port, {});
  const connection = await accepted;
  return { connection, peer, socket: connection.socket };
}

/** The next messages of a connection. */
async function messages(connection, count) {
  const all = [];
  connection.on('message', ({ binaryData }) => all.push(binaryData));
  while (all.length < count) await once(connection, 'message');
  return all;
}

/** A connection over a stream that is no socket. */
async function overStream(server, httpServer) {
  const stream = new Duplex({ read() {}, write: (chunk, encoding, done) => done() });
  const request = Object.assign(new http.IncomingMessage(stream), {
    method: 'GET',
    url: '/',
    httpVersionMajor: 1,
    httpVersionMinor: 1,
    headers: {
      host: 'x',
      upgrade: 'websocket',
      connection: 'Upgrade',
      'sec-websocket-key': 'AAAAAAAAAAAAAAAAAAAAAA==',
      'sec-websocket-version': '13',
    },
  });
  const connected = once(server, 'connect');
  httpServer.emit('upgrade', request, stream, Buffer.alloc(0));
  const [connection] = await connected;
  return { connection, stream };
}

for (const size of SIZES) {
  test(`a buffer of ${size} bytes that is pushed into streams again and again`, async () => {
    const httpServer = http.createServer();
    const server = new towline.server({ ...LIMITS, httpServer, autoAcceptConnections: true });
    const sent = masked(filled(size));
    const before = Buffer.from(sent);
    for (let n = 0; n < 2; n += 1) {
      const { connection, stream } = await overStream(server, httpServer);
      const all = messages(connection, 2);
      stream.push(sent);
      stream.push(sent);
      for (const one of await all) assert.ok(one.equals(filled(size)));
      assert.ok(sent.equals(before));
      connection.drop(1000, '', true);
    }
  });

  test(`a buffer of ${size} bytes of the program's, given to a connection with a socket`, async (t) => {
    const { connection, peer, socket } = await pair(t);
    const sent = masked(filled(size));
    const before = Buffer.from(sent);
    // Those before it may be unmasked in place.
    const all = messages(connection, 6);
    peer.write(sent);
    await once(connection, 'message');
    peer.write(sent);
    await once(connection, 'message');
    connection.handleSocketData(sent);
    socket.emit('data', sent);
    socket.unshift(sent);
    socket.push(sent);
    for (const one of await all) assert.ok(one.equals(filled(size)));
    assert.ok(sent.equals(before));
  });
}

/** Others that have the chunks of a socket: they are given `keep`. */
const OTHERS = {
  'a listener': ({ socket }, keep) => socket.on('data', keep),
  'a listener in front': ({ socket }, keep) => socket.prependListener('data', keep),
  'a listener for one chunk': ({ socket }, keep) => socket.once('data', keep),
  'a listener for one chunk in front': ({ socket }, keep) => socket.prependOnceListener('data', keep),
  'a pipe': ({ socket }, keep) => socket.pipe(new PassThrough()).on('data', keep),
  'a method emit': ({ socket }, keep) => {
    const { emit } = socket;
    socket.emit = function emitted(event, ...values) {
      if (event === 'data') keep(values[0]);
      return emit.call(this, event, ...values);
    };
  },
  'a method push': ({ socket }, keep) => {
    const { push } = socket;
    socket.push = function pushed(chunk) {
      if (chunk) keep(chunk);
      return push.call(this, chunk);
    };
  },
  'a method handleSocketData': ({ connection }, keep) => {
    const { handleSocketData } = connection;
    connection.handleSocketData = function handle(chunk) {
      keep(chunk);
      handleSocketData.call(this, chunk);
    };
  },
  'a call of read': ({ connection, socket }, keep) => {
    connection.pause();
    socket.once('readable', () => {
      for (let chunk = socket.read(); chunk; chunk = socket.read()) keep(chunk);
      connection.resume();
    });
    socket.read(0);
  },
};

for (const [other, add] of Object.entries(OTHERS)) {
  // Streams of other runtimes have their own ways.
  const skip = (bun || deno) && /method push|call of read/.test(other) ? 'only with Node' : false;
  test(`the chunks that ${other} has are as they came`, { skip }, async (t) => {
    for (const size of SIZES) {
      const both = await pair(t);
      const { connection, peer } = both;
      // From here on, chunks are unmasked in place.
      for (let n = 0; n < 2; n += 1) {
        peer.write(masked('first'));
        await once(connection, 'message');
      }
      const kept = [];
      add(both, (chunk) => kept.push(chunk));
      const all = messages(connection, 2);
      const sent = [masked(filled(size)), masked(filled(size))];
      peer.write(Buffer.concat(sent));
      for (const one of await all) assert.ok(one.equals(filled(size)));
      assert.ok(kept.length > 0);
      const had = Buffer.concat(kept);
      assert.ok(had.equals(Buffer.concat(sent).subarray(0, had.length)), `${size} bytes`);
    }
  });
}

test('the head that another listener for upgrade has is as it came', async (t) => {
  const httpServer = http.createServer();
  const port = await listen(t, httpServer);
  const server = new towline.server({ ...LIMITS, httpServer, autoAcceptConnections: true });
  const heads = [];
  httpServer.on('upgrade', (request, socket, head) => heads.push(head));
  const arrived = new Promise((resolve) => {
    server.on('connect', (connection) => connection.on('message', resolve));
  });
  const sent = masked(filled(50));
  const socket = net.connect(port, '127.0.0.1');
  socket.write(Buffer.concat([Buffer.from(upgradeRequest()), sent]));
  assert.ok((await arrived).binaryData.equals(filled(50)));
  socket.destroy();
  assert.equal(heads.length, 1);
  assert.ok(heads[0].equals(sent.subarray(0, heads[0].length)));
});

const SECRET = { ciphers: 'PSK', maxVersion: 'TLSv1.2', minVersion: 'TLSv1.2' };
const key = Buffer.from('a key that both ends know');

/** Servers, and sockets to them. */
const TRANSPORTS = {
  TCP: [() => http.createServer(), undefined],
  TLS: [
    () => https.createServer({ ...SECRET, pskCallback: () => key }),
    (port) =>
      tls.connect({
        ...SECRET,
        port,
        host: '127.0.0.1',
        pskCallback: () => ({ psk: key, identity: 'me' }),
        checkServerIdentity: () => undefined,
      }),
  ],
};

for (const [name, [createServer, connect]] of Object.entries(TRANSPORTS)) {
  const skip = bun || deno ? 'only with Node' : false;
  test(`what only the connection has is not copied: ${name}`, { skip }, async (t) => {
    const httpServer = createServer();
    const port = await listen(t, httpServer);
    const server = new towline.server({ ...LIMITS, httpServer, autoAcceptConnections: true });
    const connected = once(server, 'connect');
    const socket = connect?.(port) ?? (await answer(port, {})).peer.socket;
    t.after(() => socket.destroy());
    if (connect) socket.write(upgradeRequest());
    const [connection] = await connected;
    for (let n = 0; n < 4; n += 1) {
      const sent = masked(filled(50));
      socket.write(sent);
      const [{ binaryData }] = await once(connection, 'message');
      assert.ok(binaryData.equals(filled(50)));
      // The buffer is that of the chunk.
      if (n > 1) assert.equal(binaryData.buffer.byteLength, sent.length);
    }
    connection.drop(1000, '', true);
  });
}
