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
  server.on(
    'request',
    onRequest ??
      ((request) => {
        onConnection(request.accept(request.requestedProtocols[0] ?? null, request.origin), request);
      }),
  );
  t.after(() => {
    server.closeAllConnections();
    // Paused sockets do not keep the process: it would end with them open.
    for (const connection of [...server.connections]) connection.drop(1000, '', true);
    httpServer.closeAllConnections();
    httpServer.close();
  });
  return { server, port: httpServer.address().port, url: `ws://127.0.0.1:${httpServer.address().port}/` };
}

test('connect resolves to a connection', async (t) => {
  let request;
  const { url } = await serve(t, (_, arrived) => {
    request = arrived;
  });
  const connection = await towline.connect(url, {
    protocols: ['chat.v1'],
    origin: 'http://o.example',
    headers: { 'X-A': 'b' },
    fragmentationThreshold: 1000,
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
  await assert.rejects(towline.connect(url), {
    code: 'ERR_HTTP_RESPONSE',
    message: /non-101 status: 403 Forbidden/,
  });
  await assert.rejects(towline.connect('ws://'), { code: 'ERR_INVALID_URL' });
  await assert.rejects(towline.connect(url, { protocols: 'a b' }), { code: 'ERR_INVALID_HANDSHAKE_OPTION' });
  server.unmount();
  const gone = http.createServer().listen(0, '127.0.0.1');
  await once(gone, 'listening');
  const { port } = gone.address();
  await new Promise((resolve) => {
    gone.close(resolve);
  });
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

/** Waits for a condition, for as long as a busy machine may take. */
async function until(isTrue) {
  const deadline = Date.now() + 20_000;
  while (!isTrue()) {
    assert.ok(Date.now() < deadline, String(isTrue));
    await new Promise(setImmediate);
  }
}

/** Lets everything happen that is on its way. */
async function settle() {
  for (let turn = 0; turn < 100; turn += 1) await new Promise(setImmediate);
}

/** Waits until one end has received, and emitted, what the other has sent. */
async function arrival(from, to) {
  await until(() => to.socket.bytesRead === from.socket.bytesWritten);
  await settle();
}

/** So many messages, which a loop takes; the rest is left. */
async function take(connection, count) {
  const texts = [];
  if (count === 0) return texts;
  for await (const { utf8Data } of connection) {
    texts.push(utf8Data);
    if (texts.length === count) break;
  }
  return texts;
}

const numbers = (from, to) => Array.from({ length: to - from }, (_, n) => `${n + from}`);

test('a loop gets what came before it: after other awaits, and between two loops', async (t) => {
  let accepted;
  const { url } = await serve(t, (connection) => {
    accepted = connection;
    for (const text of numbers(0, 40)) connection.sendUTF(text);
  });
  const connection = await towline.connect(url);
  await arrival(accepted, connection);
  assert.deepEqual(await take(connection, 10), numbers(0, 10));
  await new Promise(setImmediate);
  assert.deepEqual(await take(connection, 10), numbers(10, 20));
  // Of a connection that was accepted, too.
  for (const text of numbers(0, 60)) connection.sendUTF(text);
  connection.close();
  await connection.closed;
  assert.deepEqual(await take(accepted, 61), numbers(0, 60));
});

test('more than is kept holds the peer back, and loses nothing', async (t) => {
  const { url } = await serve(t, (connection) => {
    for (const text of numbers(0, 5000)) connection.sendUTF(text.padEnd(1000));
    connection.close();
  });
  const connection = await towline.connect(url);
  await until(() => connection.socket.isPaused());
  const { emitter, count } = { emitter: connection, count: {} };
  for (const event of ['pause', 'resume'])
    emitter.on(event, () => {
      count[event] = (count[event] ?? 0) + 1;
    });
  const listeners = () =>
    connection.socket
      .eventNames()
      .map((event) => connection.socket.listenerCount(event))
      .reduce((a, b) => a + b);
  const before = listeners();
  let next = 0;
  for await (const { utf8Data } of connection) {
    assert.equal(utf8Data.trim(), `${next}`);
    next += 1;
    if (next === 4900) assert.equal(listeners(), before);
  }
  assert.equal(next, 5000);
  // Each is one event, and there are fewer than messages.
  for (const event of ['pause', 'resume']) {
    assert.ok((count[event] ?? 0) <= 5000 / 64 + 2, `'${event}' ${count[event]} times`);
  }
});

test('what a program without a loop has not listened to is given up, and a late loop is told', async (t) => {
  let accepted;
  const { url } = await serve(t, (connection) => {
    accepted = connection;
  });
  const connection = await towline.connect(url);
  for (const text of numbers(0, 100)) connection.sendUTF(text);
  await arrival(connection, accepted);
  assert.equal(accepted.socket.isPaused(), false);
  await assert.rejects(take(accepted, 1), { code: 'ERR_MESSAGES_LOST', message: /^100 messages / });
  connection.sendUTF('after that');
  assert.deepEqual(await take(accepted, 1), ['after that']);
  connection.drop();
});

test('a program that goes on with listeners is not held up by what it left in a loop', async (t) => {
  const { url } = await serve(t, (connection) => {
    for (const text of numbers(0, 300)) connection.sendUTF(text);
    connection.on('message', ({ utf8Data }) => connection.sendUTF(utf8Data));
  });
  const connection = await towline.connect(url);
  assert.deepEqual(await take(connection, 1), ['0']);
  await until(() => connection.socket.isPaused());
  const last = new Promise((resolve) => {
    connection.on('message', ({ utf8Data }) => {
      if (utf8Data === 'last') resolve();
    });
  });
  connection.sendUTF('last');
  await last;
  connection.close();
  assert.deepEqual(await connection.closed, { code: 1000, description: 'Normal connection closure' });
});

test('close ends a connection whose messages nobody takes', async (t) => {
  const { url } = await serve(t, (connection) => {
    for (const text of numbers(0, 300)) connection.sendUTF(text);
  });
  const connection = await towline.connect(url);
  await until(() => connection.socket.isPaused());
  connection.close();
  assert.deepEqual(await connection.closed, { code: 1000, description: 'Normal connection closure' });
});

for (const allowSynchronousEvents of [true, false]) {
  test(`allowSynchronousEvents: ${allowSynchronousEvents}`, async (t) => {
    const httpServer = http.createServer().listen(0, '127.0.0.1');
    await once(httpServer, 'listening');
    const server = new towline.server({ httpServer, allowSynchronousEvents, autoAcceptConnections: true });
    t.after(() => {
      server.closeAllConnections();
      httpServer.close();
    });
    const peer = dial(httpServer.address().port);
    const [connection] = await once(server, 'connect');
    await peer.head();
    const seen = [];
    let settled = 0;
    connection.on('message', ({ utf8Data }) => {
      seen.push(settled);
      Promise.resolve().then(() => {
        settled += 1;
      });
      if (utf8Data === '7') connection.pause();
    });
    peer.write(Buffer.concat(numbers(0, 20).map((payload) => frame({ payload, mask: true }))));
    await settle();
    assert.equal(seen.length, 8);
    connection.resume();
    peer.send({ payload: 'last' });
    while (seen.length < 21) await once(connection, 'message');
    const isAfter = (_, n) => n;
    if (allowSynchronousEvents)
      assert.deepEqual(
        seen.slice(0, 20),
        numbers(0, 20).map((_, n) => (n < 8 ? 0 : 8)),
      );
    else assert.deepEqual(seen, numbers(0, 21).map(isAfter));
    peer.socket.destroy();
  });
}

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

test('bufferedAmount is what the system has not taken, and nothing in the end', async (t) => {
  const { url } = await serve(t, (connection) => connection.pause());
  const connection = await towline.connect(url);
  connection.sendUTF('x'.repeat(1000));
  // Nothing of it is held back: who waits for less to be there need not wait.
  assert.equal(connection.bufferedAmount, 0);
  const waits = connection.config.fragmentOutgoingMessages ? Buffer.alloc(64 << 20) : null;
  connection.sendBytes(waits);
  assert.ok(connection.bufferedAmount > 0);
  assert.equal(connection.bufferedAmount, connection.socket.writableLength);
  connection.drop();
});

test('the package is an ES module too', async () => {
  const module = await import('towline');
  assert.equal(module.default, towline);
  for (const name of Object.keys(towline)) assert.equal(module[name], towline[name], name);
  assert.equal(require('towline'), towline);
});
