'use strict';
// Several servers on one HTTP server.
const assert = require('node:assert/strict');
const { once } = require('node:events');
const http = require('node:http');
const { test } = require('node:test');
const towline = require('./support/library.js');
const { answer, listen } = require('./support/listening.js');

function byPath(httpServer, path, delay = 0) {
  const server = new towline.server({ httpServer });
  const seen = { accepted: 0, rejected: 0, gone: [] };
  server.on('request', async (request) => {
    if (delay)
      await new Promise((resolve) => {
        setTimeout(resolve, delay);
      });
    if (request.resource.startsWith(path)) {
      try {
        request
          .accept(null, request.origin)
          .on('message', ({ utf8Data }) => seen.connection.sendUTF(`${path} ${utf8Data}`));
      } catch (error) {
        seen.gone.push(error.code);
        request.reject(409);
      }
    } else {
      request.reject(path === '/a' ? 404 : 403, `not ${path}`);
      seen.rejected += 1;
    }
  });
  server.on('connect', (connection) => {
    seen.accepted += 1;
    seen.connection = connection;
  });
  return { server, seen };
}

for (const [delayOfA, delayOfB] of [
  [0, 0],
  [0, 20],
  [20, 0],
  [20, 40],
  [40, 20],
]) {
  test(`two servers on one HTTP server, after ${delayOfA} and ${delayOfB} ms`, async (t) => {
    const httpServer = http.createServer();
    const port = await listen(t, httpServer);
    const a = byPath(httpServer, '/a', delayOfA);
    const b = byPath(httpServer, '/b', delayOfB);
    for (const path of ['/a', '/b']) {
      const { status, peer } = await answer(port, { path });
      assert.equal(status, 101, path);
      peer.send({ payload: 'ahoy' });
      assert.equal((await peer.next()).payload.toString(), `${path} ahoy`);
      // Nothing of the other one's refusal is in between, then or later.
      await new Promise((resolve) => {
        setTimeout(resolve, 60);
      });
      peer.send({ opcode: 'ping', payload: 'p' });
      assert.equal((await peer.next()).opcode, 'pong');
    }
    const { status, head } = await answer(port, { path: '/neither' });
    assert.equal(status, 403, head);
    assert.match(head, /not \/b/);
    assert.deepEqual([a.seen.accepted, b.seen.accepted], [1, 1]);
    assert.deepEqual([a.server.pendingRequests, b.server.pendingRequests], [[], []]);
    b.server.unmount();
    assert.equal((await answer(port, { path: '/neither' })).status, 404);
  });
}

test('what one server has accepted, another can not', async (t) => {
  const httpServer = http.createServer();
  const port = await listen(t, httpServer);
  byPath(httpServer, '/', 10);
  const late = byPath(httpServer, '/', 20);
  const { peer, status } = await answer(port, {});
  assert.equal(status, 101);
  await new Promise((resolve) => {
    setTimeout(resolve, 60);
  });
  assert.deepEqual(late.seen.gone, ['ERR_REQUEST_GONE']);
  peer.send({ opcode: 'ping' });
  assert.equal((await peer.next()).opcode, 'pong');
});

test('a request that one server rejects and the other ignores is refused', async (t) => {
  const httpServer = http.createServer();
  const port = await listen(t, httpServer);
  new towline.server({ httpServer }).on('request', (request) => request.reject(401, 'no'));
  const other = new towline.server({ httpServer });
  const requests = [];
  other.on('request', (request) => requests.push(request));
  const { head, peer, status } = await answer(port, {});
  assert.equal(status, 401);
  assert.match(head, /^X-WebSocket-Reject-Reason: no$/m);
  // Too late: as for a client that has hung up.
  const [request] = requests;
  const connection = request.accept(null, request.origin);
  const [code] = await once(connection, 'close');
  assert.equal(code, 1006);
  assert.equal((await peer.tail()).length, 0);
  assert.deepEqual([other.connections, other.pendingRequests], [[], []]);
});

test('a server that accepts every request leaves those that another has accepted', async (t) => {
  const httpServer = http.createServer();
  const port = await listen(t, httpServer);
  const first = byPath(httpServer, '/a');
  const second = new towline.server({ httpServer, autoAcceptConnections: true });
  // Nobody listens for its requests: it rejects them.
  new towline.server({ httpServer });
  for (const path of ['/a', '/b']) {
    const { peer, status } = await answer(port, { path });
    assert.equal(status, 101);
    peer.send({ opcode: 'ping' });
    assert.equal((await peer.next()).opcode, 'pong');
  }
  assert.deepEqual([first.seen.accepted, second.connections.length], [1, 1]);
});
