'use strict';
// Requests that are no handshakes, upgrades to other protocols, and handshakes that are refused.
const assert = require('node:assert/strict');
const { once } = require('node:events');
const { readdirSync } = require('node:fs');
const http = require('node:http');
const net = require('node:net');
const { Duplex } = require('node:stream');
const { test } = require('node:test');
const towline = require('./support/library.js');
const { answer, listen } = require('./support/listening.js');
const { dial, frame, Peer, upgradeRequest, upgradeResponse } = require('./support/wire.js');

async function serve(t, config = {}, page = (_, response) => response.end('a page')) {
  const httpServer = http.createServer(page);
  const port = await listen(t, httpServer);
  const server = new towline.server({ httpServer, autoAcceptConnections: true, ...config });
  return { httpServer, port, server };
}

const withLine = (text, line) => text.replace('\r\n\r\n', `\r\n${line}\r\n\r\n`);
const GOOD = upgradeRequest();

for (const [what, [request, expected]] of Object.entries({
  'a POST': [upgradeRequest({ method: 'POST' }), 405],
  'a DELETE': [upgradeRequest({ method: 'DELETE' }), 405],
  'HTTP/1.0': [GOOD.replace('HTTP/1.1', 'HTTP/1.0'), 400],
  'a body': [
    withLine(GOOD, 'Content-Length: 8') + frame({ payload: 'ab', mask: true }).toString('latin1'),
    400,
  ],
  'a body in chunks': [`${withLine(GOOD, 'Transfer-Encoding: chunked')}0\r\n\r\n`, 400],
  'the version 13abc': [GOOD.replace('Version: 13', 'Version: 13abc'), 426],
  'the version 13, 8': [GOOD.replace('Version: 13', 'Version: 13, 8'), 426],
})) {
  test(`is no handshake: ${what}`, async (t) => {
    const { port, server } = await serve(t);
    const errors = [];
    server.on('upgradeError', (error) => errors.push(error.code));
    const { status, head } = await answer(port, request);
    assert.equal(status, expected);
    if (expected === 405) assert.match(head, /^Allow: GET$/m);
    if (expected === 426) assert.match(head, /^Sec-WebSocket-Version: 13$/m);
    assert.deepEqual(errors, ['ERR_HANDSHAKE']);
    assert.equal(server.connections.length, 0);
  });
}

test('a handshake with an empty body, and one for several protocols, are good', async (t) => {
  const { port } = await serve(t);
  for (const request of [
    withLine(GOOD, 'Content-Length: 0'),
    GOOD.replace('Upgrade: websocket', 'Upgrade: h2c, websocket'),
  ]) {
    assert.equal((await answer(port, request)).status, 101);
  }
});

test('a page is answered, whatever else its request would like to speak', async (t) => {
  const seen = [];
  const { port, httpServer } = await serve(t, {}, async (request, response) => {
    let body = '';
    for await (const chunk of request) body += chunk;
    seen.push([request.method, request.url, request.headers, body]);
    response.end('a page');
  });
  // Two of ours are no reason to answer twice.
  new towline.server({ httpServer, autoAcceptConnections: true });
  const upgrade = 'Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA';
  const { head, status } = await answer(
    port,
    `POST /page?x HTTP/1.1\r\nHost: h.example\r\nConnection: Upgrade, HTTP2-Settings, keep-alive\r\n${upgrade}\r\n` +
      'X-A: b\r\nContent-Length: 4\r\n\r\nbody',
  );
  assert.equal(status, 200, head);
  const [[method, url, headers, body], ...more] = seen;
  assert.deepEqual([method, url, body, more], ['POST', '/page?x', 'body', []]);
  // Newer versions of Node have asked before, and leave what else there is about the upgrade.
  assert.deepEqual([headers.host, headers['x-a'], headers['content-length']], ['h.example', 'b', '4']);
  // The socket is the HTTP server's again: another request, and a handshake.
  const next = async (request) => {
    const answered = dial(port, request);
    assert.match(await answered.head(), /200 OK/);
    return answered;
  };
  const again = await next('GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n');
  again.write(GOOD);
  assert.match(await again.head(), /101 Switching/);
});

test('another upgrade is left to those who listen for it', async (t) => {
  const { port, httpServer } = await serve(t);
  httpServer.on('upgrade', (request, socket) => {
    if (request.headers.upgrade === 'other')
      socket.end('HTTP/1.1 101 Switching Protocols\r\nUpgrade: other\r\n\r\n');
  });
  const { head } = await answer(port, GOOD.replace('Upgrade: websocket', 'Upgrade: other'));
  assert.match(head, /^Upgrade: other$/m);
});

test('cookies may have commas, and a subprotocol any name', async (t) => {
  const { port, server } = await serve(t, { autoAcceptConnections: false });
  const cookies = [];
  server.on('request', (request) => {
    cookies.push(request.cookies);
    const connection = request.accept('__proto__', null);
    assert.equal(connection.protocol, '__proto__');
  });
  const { head } = await answer(port, {
    headers: { Cookie: 'a=1,2, 3; b={"x":1,"y":2}; c="4,5"', 'Sec-WebSocket-Protocol': 'chat, __proto__' },
  });
  assert.match(head, /^Sec-WebSocket-Protocol: __proto__$/m);
  assert.deepEqual(cookies, [
    [
      { name: 'a', value: '1,2, 3' },
      { name: 'b', value: '{"x":1,"y":2}' },
      { name: 'c', value: '4,5' },
    ],
  ]);
});

/** The request of a client that is told to connect by `connect`. */
async function requestOf(t, connect) {
  const server = net.createServer();
  const port = await listen(t, server);
  const client = new towline.client();
  client.on('connectFailed', () => {});
  connect(client, port);
  const [socket] = await once(server, 'connection');
  return new Peer(socket).head();
}

test('a URL may have user and password, and any characters', async (t) => {
  const head = await requestOf(t, (client, port) =>
    client.connect(`ws://us%20er:p%C3%A4ss@127.0.0.1:${port}/世界 ü?q=🚢&r=é`),
  );
  assert.match(head, /^GET \/%E4%B8%96%E7%95%8C%20%C3%BC\?q=%F0%9F%9A%A2&r=%C3%A9 HTTP\/1.1\r\n/);
  assert.ok(head.includes(`Authorization: Basic ${Buffer.from('us er:päss').toString('base64')}`), head);
  const own = await requestOf(t, (client, port) =>
    client.connect(`ws://u:p@127.0.0.1:${port}/`, null, null, { authorization: 'Bearer x' }),
  );
  assert.equal(/^authorization: .*$/im.exec(own)[0], 'authorization: Bearer x');
});

test('a header has one value, in whatever letters it is given', async (t) => {
  const head = await requestOf(t, (client, port) =>
    client.connect(`ws://127.0.0.1:${port}/`, null, null, {
      host: 'other.example',
      upgrade: 'h2c',
      'sec-websocket-version': '7',
      'x-a': 1,
      'X-A': 2,
    }),
  );
  const names = head
    .split('\r\n')
    .slice(1)
    .map((line) => line.split(':')[0].toLowerCase());
  assert.equal(new Set(names).size, names.length, head);
  assert.match(head, /^Host: other\.example$/m);
  assert.match(head, /^Upgrade: websocket$/m);
  assert.match(head, /^Sec-WebSocket-Version: 13$/m);
  assert.match(head, /^x-a: 2$/im);
});

for (const [what, [origin, headers]] of Object.entries({
  'an origin beyond ASCII': ['http://\u00e9', {}],
  'an origin in a header': [undefined, { origin: 'http://\u00e9' }],
  'an origin of draft 8 in a header': [undefined, { 'sec-websocket-origin': 'http://\u00e9' }],
  'a host with a space': [undefined, { Host: 'a b' }],
  'a host with a user': [undefined, { host: 'user@a' }],
  'a host with a path': [undefined, { HOST: 'a/b' }],
  'a host with a port that is none': [undefined, { host: 'a:b' }],
  'a host beyond ASCII': [undefined, { host: '\u00e9' }],
})) {
  test(`is not sent, as servers refuse it: ${what}`, async (t) => {
    const { httpServer, port } = await serve(t);
    httpServer.on('connection', () => assert.fail('the client has connected'));
    const client = new towline.client();
    assert.throws(() => client.connect(`ws://127.0.0.1:${port}/`, [], origin, headers), {
      code: 'ERR_INVALID_HANDSHAKE_OPTION',
      message: /^The header (Host|Origin|sec-websocket-origin) is ".*", which /,
    });
  });
}

test('a host of the program is sent as it is', async (t) => {
  for (const host of ['virtual.example', 'virtual.example:81', '[::1]:81', '127.0.0.1', 'a_b.c']) {
    const { httpServer, port } = await serve(t);
    const asked = once(httpServer, 'upgrade');
    const client = new towline.client();
    const connected = once(client, 'connect');
    client.connect(`ws://127.0.0.1:${port}/`, [], 'http://xn--9ca', { host });
    const [{ headers }] = await asked;
    assert.equal(headers.host, host);
    assert.equal(headers.origin, 'http://xn--9ca');
    const [connection] = await connected;
    connection.drop();
  }
});

test('a subprotocol that is asked for by a header may be answered', async (t) => {
  const server = net.createServer(async (socket) => {
    const peer = new Peer(socket);
    peer.write(upgradeResponse(await peer.head(), { 'Sec-WebSocket-Protocol': 'by.header' }));
  });
  const port = await listen(t, server);
  const client = new towline.client();
  client.connect(`ws://127.0.0.1:${port}/`, null, null, { 'sec-websocket-protocol': 'other, by.header' });
  const [connection] = await once(client, 'connect');
  assert.equal(connection.protocol, 'by.header');
  connection.drop();
});

const descriptors = () => readdirSync('/proc/self/fd').length;

test(
  'a refusal holds no descriptor, however long its body is',
  { skip: process.platform !== 'linux' },
  async (t) => {
    const httpServer = http.createServer();
    httpServer.on('upgrade', (_, socket) => {
      socket.on('error', () => {});
      socket.end(`HTTP/1.1 403 Forbidden\r\nContent-Length: 70000\r\n\r\n${'x'.repeat(70_000)}`);
    });
    const to = await listen(t, httpServer);
    const before = descriptors();
    for (let n = 0; n < 20; n += 1) {
      const client = new towline.client();
      client.connect(`ws://127.0.0.1:${to}/`);
      const [error] = await once(client, 'connectFailed');
      assert.equal(error.statusCode, 403);
    }
    for (let n = 0; n < 20; n += 1) {
      // Whoever wants the response has it, and its body for as long as a close may take.
      const client = new towline.client({ closeTimeout: 50 });
      client.connect(`ws://127.0.0.1:${to}/`);
      const [response] = await once(client, 'httpResponse');
      if (n % 2) continue;
      let length = 0;
      for await (const chunk of response) length += chunk.length;
      assert.equal(length, 70_000);
    }
    const deadline = Date.now() + 10_000;
    while (descriptors() > before && Date.now() < deadline)
      await new Promise((resolve) => {
        setTimeout(resolve, 20);
      });
    assert.ok(descriptors() <= before, `${descriptors()} after ${before}`);
  },
);

test('w3cwebsocket: close before it is open leaves nothing behind', async (t) => {
  const server = net.createServer();
  const port = await listen(t, server);
  const socket = new towline.w3cwebsocket(`ws://127.0.0.1:${port}/`);
  const [peer] = await once(server, 'connection');
  const seen = [];
  for (const type of ['open', 'error', 'close']) socket[`on${type}`] = () => seen.push(type);
  assert.throws(() => socket.close(999), { code: 'ERR_INVALID_SEND' });
  assert.equal(socket.readyState, socket.CONNECTING);
  socket.close();
  assert.deepEqual([socket.readyState, seen], [socket.CLOSING, []]);
  peer.resume().on('error', () => {});
  await once(peer, 'close');
  assert.deepEqual([socket.readyState, seen], [socket.CLOSED, ['error', 'close']]);
});

test('w3cwebsocket: a Blob in its turn, and one that is received', async (t) => {
  const { port, server } = await serve(t);
  server.on('connect', (connection) =>
    connection.on('message', (message) => {
      connection.send(message.utf8Data ?? message.binaryData);
    }),
  );
  const socket = new towline.w3cwebsocket(`ws://127.0.0.1:${port}/`);
  await new Promise((resolve) => {
    socket.onopen = resolve;
  });
  socket.binaryType = 'blob';
  const got = [];
  const all = new Promise((resolve) => {
    socket.onmessage = ({ data }) => {
      if (got.push(data) === 4) resolve();
    };
  });
  socket.send(new Blob(['one', Buffer.alloc(100_000)]));
  assert.equal(socket.bufferedAmount, 100_003);
  socket.send('two');
  socket.send(new Blob(['three']));
  socket.send(Buffer.from('four'));
  await all;
  const texts = await Promise.all(got.map((data) => (typeof data === 'string' ? data : data.text())));
  assert.deepEqual(
    texts.map((text) => text.replaceAll('\0', '')),
    ['one', 'two', 'three', 'four'],
  );
  assert.equal(socket.bufferedAmount, 0);
  socket.close();
  await new Promise((resolve) => {
    socket.onclose = resolve;
  });
});

/** A stream that is no socket: what is written to one end comes out of the other. */
function channel() {
  const make = (other) =>
    new Duplex({
      read() {},
      write(chunk, _, done) {
        other().push(Buffer.from(chunk));
        setImmediate(done);
      },
      final(done) {
        other().push(null);
        done();
      },
    });
  const a = make(() => b);
  const b = make(() => a);
  return [a, b];
}

test('a Duplex that is no socket will do, on both ends', async (t) => {
  const { httpServer, server } = await serve(t);
  server.on('connect', (connection) =>
    connection.on('message', (message) => {
      connection.send(message.utf8Data ?? message.binaryData);
    }),
  );
  const [near, far] = channel();
  far.server = httpServer;
  httpServer.emit('connection', far);
  const client = new towline.client();
  client.on('connectFailed', (error) => {
    throw error;
  });
  client.connect('ws://tunnel.example/', null, null, null, { createConnection: () => near });
  const [connection] = await once(client, 'connect');
  for (const text of ['one', 'x'.repeat(100_000)]) {
    connection.sendUTF(text);
    const [{ utf8Data }] = await once(connection, 'message');
    assert.equal(utf8Data, text);
  }
  connection.close(4000, 'over');
  assert.deepEqual(await connection.closed, { code: 4000, description: 'over' });
});
