'use strict';
const http = require('node:http');
const { scenario } = require('../registry.js');
const { shown } = require('../stage.js');

const OPTIONS = [
  'maxReceivedFrameSize',
  'maxReceivedMessageSize',
  'fragmentOutgoingMessages',
  'fragmentationThreshold',
  'keepalive',
  'keepaliveInterval',
  'dropConnectionOnKeepaliveTimeout',
  'keepaliveGracePeriod',
  'useNativeKeepalive',
  'assembleFragments',
  'autoAcceptConnections',
  'ignoreXForwardedFor',
  'parseCookies',
  'parseExtensions',
  'disableNagleAlgorithm',
  'closeTimeout',
];

scenario('server: options and their defaults', async (stage) => {
  const line = stage.log('config');
  const { server, httpServer } = await stage.serve();
  for (const option of OPTIONS) line(option, server.config[option]);
  line('httpServer', Array.isArray(server.config.httpServer), server.config.httpServer[0] === httpServer);
  const { server: other } = await stage.serve({ closeTimeout: 1, custom: 'kept' });
  line('given', other.config.closeTimeout, other.config.custom, other.config.keepalive);
});

scenario('server: without a configuration, and without an http server', (stage) => {
  const line = stage.log('server');
  const server = new stage.lib.server();
  line('lists', server.connections, server.pendingRequests);
  stage.attempt(line, 'mount', () => server.mount({}));
  stage.attempt(line, 'constructor', () => new stage.lib.server({ httpServer: null }));
});

scenario('server: mount after construction', async (stage) => {
  const { server: httpServer, port } = await stage.http();
  const server = new stage.lib.server();
  stage.watchServer(server);
  server.mount({ httpServer, autoAcceptConnections: true });
  const peer = await stage.dial(port);
  stage.log('peer')('response', peer.response);
});

scenario('server: several http servers', async (stage) => {
  const one = await stage.http();
  const two = await stage.http();
  const server = new stage.lib.server({
    httpServer: [one.server, two.server],
    autoAcceptConnections: true,
  });
  for (const { port } of [one, two]) {
    const peer = await stage.dial(port);
    stage.log('peer')('response', peer.response.split('\r\n')[0]);
  }
  stage.log('server')('connections', server.connections.length);
});

scenario('server: unmount leaves connections alone, and takes no more', async (stage) => {
  const { server, httpServer, port } = await stage.serve({ autoAcceptConnections: true });
  const line = stage.watchServer(server);
  const peer = await stage.dial(port);
  line('listeners', httpServer.listenerCount('upgrade'));
  server.unmount();
  line('listeners', httpServer.listenerCount('upgrade'));
  const late = await stage.dial(port);
  stage.log('late')('response', late.response.split('\r\n')[0]);
  server.connections[0].on('message', (message) => server.connections[0].sendUTF(message.utf8Data));
  peer.send({ payload: 'still here' });
  stage.log('peer')('echo', ...shown(await peer.next()));
});

scenario('server: unmount before mount', (stage) => {
  const server = new stage.lib.server();
  try {
    server.unmount();
    stage.log('server')('returns');
  } catch (error) {
    stage.log('server')('throws', error.constructor.name);
  }
});

scenario('server: another listener for upgrades on the same http server', async (stage) => {
  const { server, httpServer, port } = await stage.serve({ autoAcceptConnections: true });
  stage.watchServer(server);
  httpServer.on('upgrade', (request) => stage.log('http')('upgrade', request.url));
  const peer = await stage.dial(port, { path: '/both' });
  stage.log('peer')('response', peer.response.split('\r\n')[0]);
});

/** Two servers on one HTTP server, each with a handler of its own; every request is logged. */
async function shared(stage, handlers) {
  const { server: httpServer, port } = await stage.http();
  const servers = handlers.map((handle, index) => {
    const name = 'ab'[index];
    const server = new stage.lib.server({ httpServer });
    stage.watchServer(server, name);
    server.on('request', (request) => {
      stage.log(name)('request', request.resource, server.pendingRequests.length);
      request.on('requestRejected', () => stage.log(name)('requestRejected'));
      handle(request);
    });
    return server;
  });
  return { port, servers };
}

/** Accepts requests below a path and rejects its `/secret`. Ignores other requests. */
const only = (path) => (request) => {
  if (!request.resource.startsWith(path)) return;
  if (request.resource.endsWith('/secret')) {
    request.reject(401, 'no');
    return;
  }
  const connection = request.accept(null, request.origin);
  connection.on('message', ({ utf8Data }) => connection.sendUTF(`${path} ${utf8Data}`));
};

scenario('server: two on one http server, which ignore what is not theirs', async (stage) => {
  const { port, servers } = await shared(stage, [only('/a'), only('/b')]);
  for (const path of ['/a', '/b', '/a/secret', '/b/secret']) {
    const peer = await stage.dial(port, { path });
    const line = stage.log(`peer ${path}`);
    line('status', peer.response.split('\r\n')[0]);
    if (path.endsWith('/secret')) {
      line('then', await peer.ended);
      continue;
    }
    peer.send({ payload: 'ahoy' });
    line('echo', ...shown(await peer.next()));
  }
  stage.log('servers')('connections', ...servers.map((server) => server.connections.length));
});

scenario('server: two on one http server, the second rejects what the first accepts', async (stage) => {
  const { port } = await shared(stage, [only('/a'), (request) => request.reject(403, 'not here')]);
  const peer = await stage.dial(port, { path: '/a' });
  stage.log('peer')('status', peer.response.split('\r\n')[0]);
  await stage.settle();
  peer.send({ payload: 'ahoy' });
  stage.log('peer')('echo', ...shown(await peer.next()));
});

scenario('server: two on one http server, one closes what is open and refuses what waits', async (stage) => {
  const { port, servers } = await shared(stage, [only('/a'), only('/b')]);
  const peer = await stage.dial(port, { path: '/a' });
  servers[1].closeAllConnections();
  await stage.settle();
  peer.send({ payload: 'ahoy' });
  stage.log('peer')('echo', ...shown(await peer.next()));
  stage.log('servers')('pending', ...servers.map((server) => server.pendingRequests.length));
});

scenario('server: plain requests are not its business', async (stage) => {
  const { port } = await stage.serve({ autoAcceptConnections: true });
  const request = http.get({ port, host: '127.0.0.1', agent: false });
  const [response] = await stage.event(request, 'response');
  let body = '';
  for await (const chunk of response) body += chunk;
  stage.log('http')('answer', response.statusCode, body);
});

scenario('server: autoAcceptConnections takes the first protocol and any origin', async (stage) => {
  const { server, port } = await stage.serve({ autoAcceptConnections: true });
  stage.watchServer(server);
  server.on('request', () => stage.log('server')('a request event'));
  server.on('connect', (connection) => stage.log('server')('protocol', connection.protocol));
  const peer = await stage.dial(port, {
    headers: { 'Sec-WebSocket-Protocol': 'Chat, other', Origin: 'http://any.example' },
  });
  stage.log('peer')('response', peer.response);
});

scenario('server: nobody listens for requests', async (stage) => {
  const { port } = await stage.serve();
  const peer = await stage.dial(port);
  stage.log('peer')('response', peer.response);
  stage.log('peer')('then', await peer.ended);
});

scenario('server: events, their arguments and their order', async (stage) => {
  const { server, port } = await stage.serve();
  const line = stage.watchServer(server);
  server.on('request', function onRequest(request) {
    line('request', request, this === server, server.pendingRequests.length, server.connections.length);
    request.on('requestResolved', (who) =>
      line('requestResolved', who === request, server.pendingRequests.length),
    );
    request.on('requestAccepted', (who) => line('requestAccepted', who, server.connections.length));
    request.on('requestRejected', (who) => line('requestRejected', who === request));
    const connection = request.accept(null, null);
    line('accepted', server.connections[0] === connection, server.pendingRequests.length);
    connection.on('close', (...values) =>
      line('the connection closes', ...values, server.connections.length),
    );
  });
  const peer = await stage.dial(port);
  const closed = stage.event(server, 'close');
  peer.close(1001, 'away');
  const [connection] = await closed;
  line('closed', connection.connected, server.connections.length);
});

scenario('server: several connections close one by one', async (stage) => {
  const { server, port } = await stage.serve({ autoAcceptConnections: true });
  const line = stage.watchServer(server);
  const peers = [];
  while (peers.length < 3) peers.push(await stage.dial(port));
  const [, second] = server.connections;
  peers[1].close(1000);
  const [closed] = await stage.event(server, 'close');
  line('the second', closed === second, server.connections.length, server.connections.includes(second));
});

scenario('server: closeAllConnections closes what is open and refuses what waits', async (stage) => {
  const waiting = [];
  const { server, port } = await stage.serve({}, (request) => {
    if (request.resource === '/wait') waiting.push(request);
    else request.accept(null, null);
  });
  stage.watchServer(server);
  const open = [await stage.dial(port), await stage.dial(port)];
  const late = stage.dial(port, { path: '/wait' });
  await stage.event(server, 'request');
  server.closeAllConnections();
  for (const peer of open) {
    stage.log('open')('closing', ...shown(await peer.next()));
    peer.close(1000);
  }
  stage.log('late')('response', (await late).response);
  stage.log('server')('pending', server.pendingRequests.length);
  while (server.connections.length) await stage.event(server, 'close');
});

scenario('server: shutDown closes and unmounts', async (stage) => {
  const { server, httpServer, port } = await stage.serve({ autoAcceptConnections: true });
  const line = stage.watchServer(server);
  const peer = await stage.dial(port);
  const closed = stage.event(server, 'close');
  server.shutDown();
  line('listeners', httpServer.listenerCount('upgrade'));
  stage.log('peer')('closing', ...shown(await peer.next()));
  peer.close(1000);
  await closed;
});

scenario('server: broadcast', async (stage) => {
  const { server, port } = await stage.serve({ autoAcceptConnections: true });
  const line = stage.log('server');
  const peers = [await stage.dial(port), await stage.dial(port)];
  const object = { toString: () => 'an object' };
  for (const data of ['text', Buffer.from([0, 1, 255]), 42, object, true, [1, 2]]) {
    stage.attempt(line, 'broadcast', () => server.broadcast(data));
  }
  stage.attempt(line, 'broadcastUTF', () => server.broadcastUTF('utf ✓'));
  stage.attempt(line, 'broadcastBytes', () => server.broadcastBytes(Buffer.from('bytes')));
  stage.attempt(line, 'broadcastBytes, of text', () => server.broadcastBytes('text'));
  for (const [at, peer] of peers.entries()) {
    for (let n = 0; n < 8; n += 1) stage.log(`peer ${at}`)('got', ...shown(await peer.next()));
  }
});

scenario('server: a handshake that is none', async (stage) => {
  const { server, port } = await stage.serve({}, (request) => request.accept());
  stage.watchServer(server);
  for (const headers of [
    { 'Sec-WebSocket-Key': null },
    { 'Sec-WebSocket-Version': null },
    { 'Sec-WebSocket-Version': 'thirteen' },
    { 'Sec-WebSocket-Version': '7' },
    { 'Sec-WebSocket-Version': '14' },
  ]) {
    const peer = await stage.dial(port, { headers });
    stage.log('peer')('sent', headers);
    stage.log('peer')('response', peer.response);
    stage.log('peer')('then', await peer.ended, (await peer.tail()).length);
  }
});

scenario('server: a cookie that is not URL-encoded', async (stage) => {
  const { server, port } = await stage.serve({}, (request) => {
    stage.log('request')('cookies', request.cookies);
    request.accept();
  });
  stage.watchServer(server);
  const peer = await stage.dial(port, { headers: { Cookie: 'broken=%E0%A4%A; fine=%20' } });
  stage.log('peer')('status', peer.response.split('\r\n')[0]);
});

for (const key of ['short', 'dGhlIHNhbXBsZSBub25jZQ', 'x'.repeat(24), '']) {
  scenario(`server: the key ${JSON.stringify(key)}`, async (stage) => {
    const { server, port } = await stage.serve({}, (request) => request.accept());
    stage.watchServer(server);
    const peer = await stage.dial(port, { headers: { 'Sec-WebSocket-Key': key } });
    stage.log('peer')('status', peer.response.split('\r\n')[0]);
  });
}

scenario('server: a list of extensions that is malformed', async (stage) => {
  const { port } = await stage.serve({}, (request) => request.accept());
  const peer = await stage.dial(port, { headers: { 'Sec-WebSocket-Extensions': 'a;;b=,=' } });
  stage.log('peer')('status', peer.response.split('\r\n')[0]);
});

scenario('server: a handshake without Host', async (stage) => {
  const { server, httpServer, port } = await stage.serve({}, (request) => request.accept());
  httpServer.requireHostHeader = false;
  stage.watchServer(server);
  const peer = await stage.dial(port, { headers: { Host: null } });
  stage.log('peer')('status', peer.response.split('\r\n')[0]);
});

scenario('server: no listener for upgradeError is needed', async (stage) => {
  const { port } = await stage.serve({}, (request) => request.accept());
  const peer = await stage.dial(port, { headers: { 'Sec-WebSocket-Key': null } });
  stage.log('peer')('status', peer.response.split('\r\n')[0]);
});

scenario('server: the client is gone before it is accepted', async (stage) => {
  let request;
  const { server, port } = await stage.serve({}, (arrived) => {
    request = arrived;
  });
  const line = stage.watchServer(server);
  const arrived = stage.event(server, 'request');
  const { dial } = require('../stage.js').wire;
  const peer = dial(port);
  await arrived;
  const gone = stage.event(request.socket, 'end');
  peer.socket.end();
  await gone;
  const connection = request.accept(null, null);
  stage.watchConnection(connection);
  line('connected', connection.connected, server.connections.length);
  await stage.event(server, 'close');
  line(
    'then',
    connection.connected,
    connection.closeReasonCode,
    connection.closeDescription,
    server.connections.length,
  );
});

scenario('server: a request is answered later', async (stage) => {
  const { server, port } = await stage.serve({}, async (request) => {
    await stage.settle(2);
    stage.log('server')('pending', server.pendingRequests.length);
    const connection = request.accept(null, null);
    await stage.settle(2);
    stage.watchConnection(connection);
  });
  const peer = await stage.dial(port);
  stage.log('peer')('response', peer.response);
  await stage.settle();
  peer.send({ payload: 'late' });
  const [connection] = server.connections;
  await stage.event(connection, 'message');
});

scenario('server: the first frame in one packet with the handshake', async (stage) => {
  const { wire } = require('../stage.js');
  const { port, server } = await stage.serve({}, (request) => {
    stage.watchConnection(request.accept(null, null));
  });
  const text = wire.frame({ payload: 'eager', mask: true }).toString('latin1');
  const peer = wire.dial(port, '');
  stage.defer(() => peer.socket.destroy());
  peer.socket.write(wire.upgradeRequest() + text, 'latin1');
  stage.log('peer')('response', await peer.head());
  await stage.settle();
  peer.send({ payload: 'later' });
  while (!stage.lines().some((line) => line.includes('later'))) {
    await stage.event(server.connections[0], 'message');
  }
});
