'use strict';
// What programs of today can do besides: promises, signals, loops over messages, ES modules.
const assert = require('node:assert/strict');
const { once } = require('node:events');
const http = require('node:http');
const { test } = require('node:test');
const towline = require('../');
const { dial, frame } = require('./support/wire.js');

/** A server whose connections `onConnection` gets; its url. */
async function serve(t, onConnection = () => {}, onRequest) {
  const httpServer = http.createServer().listen(0, '127.0.0.1');
  await once(httpServer, 'listening');
  const server = new towline.server({ httpServer });
  server.on('request', onRequest ?? ((request) => {
    onConnection(request.accept(request.requestedProtocols[0] ?? null, request.origin), request);
  }));
  t.after(() => {
    server.closeAllConnections();
    httpServer.closeAllConnections();
    httpServer.close();
  });
  return { server, port: httpServer.address().port, url: `ws://127.0.0.1:${httpServer.address().port}/` };
}

test('connect resolves to a connection', async (t) => {
  let request;
  const { url } = await serve(t, (_, arrived) => { request = arrived; });
  const connection = await towline.connect(url, {
    protocols: ['chat.v1'], origin: 'http://o.example', headers: { 'X-A': 'b' }, fragmentationThreshold: 1000,
  });
  assert.ok(connection instanceof towline.connection);
  assert.equal(connection.protocol, 'chat.v1');
  assert.equal(connection.config.fragmentationThreshold, 1000);
  assert.equal(request.origin, 'http://o.example');
  assert.equal(request.httpRequest.headers['x-a'], 'b');
  connection.close();
  assert.deepEqual(await connection.closed, { code: 1000, description: 'Normal connection closure' });
});

test('connect rejects, and says why by a code', async (t) => {
  const { url, server } = await serve(t, undefined, (request) => request.reject(403, 'not you'));
  await assert.rejects(towline.connect(url), { code: 'ERR_HTTP_RESPONSE', message: /non-101 status: 403 Forbidden/ });
  await assert.rejects(towline.connect('ws://'), { code: 'ERR_INVALID_URL' });
  await assert.rejects(towline.connect(url, { protocols: 'a b' }), { code: 'ERR_INVALID_HANDSHAKE_OPTION' });
  server.unmount();
  const gone = http.createServer().listen(0, '127.0.0.1');
  await once(gone, 'listening');
  const { port } = gone.address();
  await new Promise((resolve) => { gone.close(resolve); });
  await assert.rejects(towline.connect(`ws://127.0.0.1:${port}/`), { code: 'ECONNREFUSED' });
});

test('a signal gives up connecting: before, meanwhile, and not afterwards', async (t) => {
  const arrived = [];
  const { url, server } = await serve(t, undefined, (request) => {
    if (request.resource === '/wait') arrived.push(request);
    else request.accept(null, null);
  });
  const reason = new Error('changed my mind');
  await assert.rejects(towline.connect(url, { signal: AbortSignal.abort(reason) }), reason);
  assert.equal(server.connections.length, 0);

  const meanwhile = new AbortController();
  const pending = towline.connect(`${url}wait`, { signal: meanwhile.signal });
  await once(server, 'request');
  meanwhile.abort(reason);
  await assert.rejects(pending, reason);
  assert.equal(arrived.length, 1);

  const late = new AbortController();
  const connection = await towline.connect(url, { signal: late.signal });
  late.abort(reason);
  const echo = once(connection, 'message');
  server.broadcast('still there');
  assert.equal((await echo)[0].utf8Data, 'still there');
  connection.drop();
});

test('what comes right behind the handshake is there for whoever awaited connect', async (t) => {
  const { url } = await serve(t, (connection) => {
    connection.sendUTF('greeting');
    connection.sendUTF('and more');
    connection.close(4000, 'that was it');
  });
  const connection = await towline.connect(url);
  const texts = [];
  for await (const { utf8Data } of connection) texts.push(utf8Data);
  assert.deepEqual(texts, ['greeting', 'and more']);
  assert.deepEqual(await connection.closed, { code: 4000, description: 'that was it' });
});

test('a loop over messages gets all of them, however slow it is', async (t) => {
  const { url } = await serve(t, (connection) => {
    for (let n = 0; n < 2000; n += 1) connection.send(n % 2 ? `${n}` : Buffer.from(`${n}`));
    connection.close();
  });
  const connection = await towline.connect(url);
  let next = 0;
  for await (const { type, utf8Data, binaryData } of connection) {
    assert.equal(type, next % 2 ? 'utf8' : 'binary');
    assert.equal(String(utf8Data ?? binaryData), `${next}`);
    if (next % 50 === 0) await new Promise(setImmediate);
    next += 1;
  }
  assert.equal(next, 2000);
});

test('a loop that is slow holds the peer back, and not messages in memory', async (t) => {
  const { url } = await serve(t, (connection) => {
    for (let n = 0; n < 200; n += 1) connection.sendBytes(Buffer.alloc(16 << 10, n));
  });
  const connection = await towline.connect(url);
  const messages = connection[Symbol.asyncIterator]();
  await messages.next();
  await once(connection, 'pause');
  let count = 1;
  while (count < 200) {
    const { value } = await messages.next();
    assert.equal(value.binaryData[0], count);
    count += 1;
  }
  connection.drop();
});

test('leaving a loop leaves the connection alone', async (t) => {
  const { url } = await serve(t, (connection) => {
    connection.on('message', ({ utf8Data }) => connection.sendUTF(`re: ${utf8Data}`));
  });
  const connection = await towline.connect(url);
  for (const text of ['one', 'two']) {
    connection.sendUTF(text);
    for await (const { utf8Data } of connection) {
      assert.equal(utf8Data, `re: ${text}`);
      break;
    }
    assert.equal(connection.connected, true);
    assert.equal(connection.listenerCount('message'), 0);
  }
  connection.close();
  await connection.closed;
});

test('a loop ends when the connection does, and begins with none if it has ended', async (t) => {
  const { port, server } = await serve(t, () => {});
  const peer = dial(port);
  const [connection] = await once(server, 'connect');
  await peer.head();
  const texts = [];
  const loop = (async () => {
    for await (const { utf8Data } of connection) texts.push(utf8Data);
  })();
  peer.send({ payload: 'one' }).write(frame({ opcode: 3, mask: true }));
  await loop;
  assert.deepEqual(texts, ['one']);
  assert.deepEqual(await connection.closed, { code: 1002, description: 'Unrecognized Opcode: 0x3' });
  for await (const message of connection) assert.fail(`a message after the end: ${message}`);
});

test('closed is one promise, and is there afterwards too', async (t) => {
  const { url } = await serve(t, (connection) => connection.drop(4001, 'out'));
  const connection = await towline.connect(url);
  assert.equal(connection.closed, connection.closed);
  assert.deepEqual(await connection.closed, { code: 4001, description: 'out' });
  const { closed } = connection;
  assert.deepEqual(await closed, { code: 4001, description: 'out' });
});

test('bufferedAmount says what waits, and is nothing in the end', async (t) => {
  const { url } = await serve(t, () => {});
  const connection = await towline.connect(url);
  assert.equal(connection.bufferedAmount, 0);
  connection.sendUTF('x'.repeat(1000));
  assert.ok(connection.bufferedAmount >= 1000);
  await new Promise((resolve) => { connection.sendUTF('last', resolve); });
  assert.equal(connection.bufferedAmount, 0);
  connection.drop();
});

test('the package is an ES module too', async () => {
  const module = await import('towline');
  assert.equal(module.default, towline);
  for (const name of Object.keys(towline)) assert.equal(module[name], towline[name], name);
  assert.equal(require('towline'), towline);
});
