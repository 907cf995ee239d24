'use strict';
const http = require('node:http');
const https = require('node:https');
const url = require('node:url');
const { scenario } = require('../registry.js');
const { shown } = require('../stage.js');

const OPTIONS = [
  'webSocketVersion',
  'maxReceivedFrameSize',
  'maxReceivedMessageSize',
  'fragmentOutgoingMessages',
  'fragmentationThreshold',
  'assembleFragments',
  'disableNagleAlgorithm',
  'closeTimeout',
  'tlsOptions',
  'websocketVersion',
];

scenario('client: options and their defaults', (stage) => {
  const line = stage.log('config');
  const { config } = new stage.lib.client();
  for (const option of OPTIONS) line(option, config[option]);
  const given = { closeTimeout: 7, tlsOptions: { a: 1 }, custom: 'kept' };
  const client = new stage.lib.client(given);
  line('given', client.config.closeTimeout, client.config.tlsOptions, client.config.custom);
  for (const webSocketVersion of [8, 13, 7, '13', null]) {
    stage.attempt(line, `version ${webSocketVersion}`, () => new stage.lib.client({ webSocketVersion }));
  }
});

/** The request that a client sends, its key and port hidden. */
async function requestOf(stage, connect, config) {
  const { url: base, port, next } = await stage.rawServer();
  const client = new stage.lib.client(config);
  connect(client, base, port);
  const { request } = await next();
  return request.replace(/(sec-websocket-key: ).{24}/i, '$1KEY');
}

const REQUESTS = {
  'as little as can be': (client, base) => client.connect(base),
  'one protocol': (client, base) => client.connect(`${base}/`, 'chat'),
  'an empty protocol': (client, base) => client.connect(`${base}/`, ''),
  'protocols and an origin': (client, base) =>
    client.connect(`${base}/a`, ['chat', 'Super.V2'], 'http://o.example'),
  'a query and a fragment': (client, base) => client.connect(`${base}/a/b?c=d&e#f`),
  'a query alone': (client, base) => client.connect(`${base}?x=1`),
  headers: (client, base) =>
    client.connect(`${base}/`, null, null, {
      Cookie: 'a=b',
      'X-Number': 7,
      Authorization: 'Basic eDp5',
    }),
  'headers that are its own': (client, base) =>
    client.connect(`${base}/`, null, null, {
      Upgrade: 'mine',
      'Sec-WebSocket-Version': '1',
      Origin: 'http://by.header',
    }),
  "a Host of one's own": (client, base) => client.connect(`${base}/`, null, null, { Host: 'other.example' }),
  'an origin before headers': (client, base) =>
    client.connect(`${base}/`, [], 'http://o.example', { Origin: 'x' }),
  'request options': (client, base) =>
    client.connect(
      `${base}/right`,
      null,
      null,
      { A: 'b' },
      {
        path: '/wrong',
        method: 'POST',
        headers: { C: 'd' },
        agent: new http.Agent(),
      },
    ),
  // What url.parse() returns, without its warning.
  'a parsed url': (client, base) => client.connect(new url.Url().parse(`${base}/parsed?x=1`)),
  'a URL object': (client, base) => client.connect(new URL(`${base}/object?x=1`)),
  'a password in the url': (client, _, port) => client.connect(`ws://user:pass@127.0.0.1:${port}/`),
  'an encoded path': (client, base) => client.connect(`${base}/a%20b/ü`),
};
for (const [what, connect] of Object.entries(REQUESTS)) {
  scenario(`client: the request, ${what}`, async (stage) => {
    stage.log('request')('head', await requestOf(stage, connect));
  });
}

scenario('client: the request, version 8', async (stage) => {
  const head = await requestOf(stage, (client, base) => client.connect(base, [], 'http://o.example'), {
    webSocketVersion: 8,
  });
  stage.log('request')('head', head);
});

scenario('client: keys are random', async (stage) => {
  const keys = [];
  const { url: base, next } = await stage.rawServer();
  while (keys.length < 2) {
    new stage.lib.client().connect(base);
    keys.push(/sec-websocket-key: (.*)/i.exec((await next()).request)[1]);
  }
  stage.log('keys')('differ', keys[0] !== keys[1], Buffer.from(keys[0], 'base64').length);
});

scenario('client: what connect refuses', (stage) => {
  const client = new stage.lib.client();
  for (const [target, protocols] of [
    ['/relative'],
    ['ws://'],
    [''],
    ['ws://127.0.0.1:1/', ['fine', 'not fine']],
    ['ws://127.0.0.1:1/', 'a/b'],
    ['ws://127.0.0.1:1/', ['ü']],
    ['ws://127.0.0.1:1/', ['a\u0001']],
  ]) {
    stage.attempt(stage.log('client'), `${target} ${protocols}`, () => client.connect(target, protocols));
  }
});

scenario('client: nobody listens at the port', async (stage) => {
  const { server, port } = await stage.rawServer();
  await new Promise((resolve) => server.close(resolve));
  const client = new stage.lib.client();
  const line = stage.watch(client, 'client', ['connect', 'connectFailed', 'httpResponse']);
  client.connect(`ws://127.0.0.1:${port}/`);
  const [error] = await stage.event(client, 'connectFailed');
  line('error', error.code, error.syscall);
});

scenario('client: nobody listens for connectFailed', async (stage) => {
  const { server, port } = await stage.rawServer();
  await new Promise((resolve) => server.close(resolve));
  new stage.lib.client().connect(`ws://127.0.0.1:${port}/`);
  await stage.settle();
  stage.log('client')('nothing happens');
});

const ANSWERS = {
  'a wrong accept': { 'Sec-WebSocket-Accept': 'wrong' },
  'no accept': { 'Sec-WebSocket-Accept': null },
  'no Connection': { Connection: null },
  'another Connection': { Connection: 'close' },
  'no Upgrade': { Upgrade: null },
  'another Upgrade': { Upgrade: 'h2c' },
  'in other letters': { Upgrade: 'WebSocket', Connection: 'uPGRADE' },
  'an extension that was not asked for': { 'Sec-WebSocket-Extensions': 'x-unknown' },
};
const PROTOCOL_ANSWERS = {
  'none of the protocols': { protocols: ['a', 'b'], headers: {} },
  'another protocol': { protocols: ['a', 'b'], headers: { 'Sec-WebSocket-Protocol': 'c' } },
  'a protocol in other letters': { protocols: ['a', 'b'], headers: { 'Sec-WebSocket-Protocol': 'B' } },
  'the second protocol': { protocols: ['a', 'b'], headers: { 'Sec-WebSocket-Protocol': 'b' } },
  'a protocol though none was asked for': { protocols: [], headers: { 'Sec-WebSocket-Protocol': 'b' } },
};
for (const [what, { protocols, headers }] of [
  ...Object.entries(ANSWERS).map(([name, set]) => [name, { protocols: [], headers: set }]),
  ...Object.entries(PROTOCOL_ANSWERS),
]) {
  scenario(`client: the answer has ${what}`, async (stage) => {
    const { url: base, next } = await stage.rawServer();
    const client = new stage.lib.client();
    const line = stage.log('client');
    const outcome = new Promise((resolve) => {
      client.on('connect', (connection) =>
        resolve(line('connect', connection.protocol, connection.extensions)),
      );
      client.on('connectFailed', (error) => {
        const message = error.message.replace(/(value of |accept: )\S{27}=/, '$1KEY');
        resolve(line('connectFailed', error.constructor.name, message));
      });
    });
    client.connect(base, protocols);
    (await next()).accept(headers);
    await outcome;
  });
}

scenario('client: the server says no', async (stage) => {
  const { url: base } = await stage.serve({}, (request) => {
    request.reject(403, 'not you', { 'X-More': 'than that' });
  });
  const client = new stage.lib.client();
  stage.watch(client, 'client', ['connect', 'connectFailed']);
  client.connect(base);
  await stage.event(client, 'connectFailed');
});

scenario('client: httpResponse instead of a failure', async (stage) => {
  const { url: base } = await stage.serve({}, (request) => request.reject(401, 'who?', { 'X-A': 'b' }));
  const client = new stage.lib.client();
  const line = stage.watch(client, 'client', ['connect', 'connectFailed']);
  client.on('httpResponse', function onResponse(response, other) {
    line(
      'httpResponse',
      response.statusCode,
      response.headers['x-a'],
      response.headers['x-websocket-reject-reason'],
      other === client,
      this === client,
    );
  });
  client.connect(base);
  await stage.event(client, 'httpResponse');
  await stage.settle();
});

scenario('client: a redirect is an answer like others', async (stage) => {
  const { server, url: base } = await stage.http(() => http.createServer());
  server.removeAllListeners('request');
  server.on('request', (_, response) => response.writeHead(302, { Location: '/there', Date: 'then' }).end());
  const client = new stage.lib.client();
  stage.watch(client, 'client', ['connect', 'connectFailed']);
  client.connect(base);
  await stage.event(client, 'connectFailed');
});

scenario('client: the server hangs up during the handshake', async (stage) => {
  const { url: base, next } = await stage.rawServer();
  const client = new stage.lib.client();
  stage.watch(client, 'client', ['connect', 'connectFailed']);
  client.connect(base);
  (await next()).socket.destroy();
  await stage.event(client, 'connectFailed');
});

scenario('client: the answer is no HTTP', async (stage) => {
  const { url: base, next } = await stage.rawServer();
  const client = new stage.lib.client();
  client.on('connectFailed', (error) => stage.log('client')('connectFailed', error.code));
  client.connect(base);
  (await next()).write('SSH-2.0-OpenSSH\r\n\r\n');
  await stage.event(client, 'connectFailed');
});

scenario('client: abort', async (stage) => {
  const { url: base, next } = await stage.rawServer();
  const client = new stage.lib.client();
  const line = stage.watch(client, 'client', ['connect', 'connectFailed']);
  stage.attempt(line, 'abort before', () => client.abort());
  client.connect(base);
  await next();
  stage.attempt(line, 'abort', () => client.abort());
  await stage.event(client, 'connectFailed');
  stage.attempt(line, 'abort again', () => client.abort());
});

scenario('client: abort at once, and after connecting', async (stage) => {
  const { url: base } = await stage.rawServer();
  const early = new stage.lib.client();
  stage.watch(early, 'early', ['connect', 'connectFailed']);
  early.connect(base);
  stage.attempt(stage.log('early'), 'abort', () => early.abort());
  await stage.settle();
  const { connection, client } = await stage.connection('client');
  stage.attempt(stage.log('late'), 'abort', () => client.abort());
  await stage.settle();
  stage.log('late')('connected', connection.connected);
});

scenario('client: connect event, and its properties', async (stage) => {
  const { url: base, next } = await stage.rawServer();
  const client = new stage.lib.client();
  const line = stage.log('client');
  client.on('connect', function onConnect(connection) {
    line('connect', connection, this === client, connection.protocol, connection.connected);
    line(
      'properties',
      client.protocol,
      client.protocols,
      client.origin,
      client.secure,
      client.url.pathname,
      client.response.statusCode,
      client.socket === connection.socket,
    );
  });
  client.connect(`${base}/x`, ['a'], 'http://o.example');
  line('connecting', client.protocols, client.origin, client.secure, client.url.host);
  (await next()).accept({ 'Sec-WebSocket-Protocol': 'a' });
  await stage.event(client, 'connect');
});

scenario('client: frames in one packet with the answer', async (stage) => {
  const { wire } = require('../stage.js');
  const { url: base, next } = await stage.rawServer();
  const client = new stage.lib.client();
  client.on('connect', (connection) => {
    stage.log('connection')('connect');
    stage.watchConnection(connection);
  });
  client.connect(base);
  const peer = await next();
  peer.write(
    Buffer.concat([
      Buffer.from(wire.upgradeResponse(peer.request)),
      wire.frame({ payload: 'early' }),
      wire.frame({ opcode: 'ping', payload: 'p' }),
      wire.frame({ payload: 'later' }).subarray(0, 4),
    ]),
  );
  stage.log('peer')('got', ...shown(await peer.next()));
  peer.write(wire.frame({ payload: 'later' }).subarray(4));
  peer.close(1000);
  for (const frame of await peer.rest()) stage.log('peer')('got', ...shown(frame));
  await stage.settle();
});

scenario('client: used more than once', async (stage) => {
  const { url: base } = await stage.serve({ autoAcceptConnections: true });
  const client = new stage.lib.client();
  const connections = [];
  client.on('connect', (connection) => connections.push(connection));
  for (const path of ['/1', '/2']) {
    client.connect(base + path);
    await stage.event(client, 'connect');
  }
  const line = stage.log('client');
  line('connections', connections.length, connections[0] === connections[1], connections[0].connected);
});

// TLS without certificates: a key that both ends know.
const SECRET = { ciphers: 'PSK', maxVersion: 'TLSv1.2', minVersion: 'TLSv1.2' };
const key = Buffer.from('a key that both ends know');

scenario('client and server: wss', async (stage) => {
  const { server: httpServer, port } = await stage.http(() =>
    https.createServer({ ...SECRET, pskCallback: () => key }),
  );
  httpServer.on('tlsClientError', (error) => stage.log('tls')('error', error));
  httpServer.on('secureConnection', (socket) => stage.defer(() => socket.destroy()));
  const server = new stage.lib.server({ httpServer });
  const closed = stage.event(server, 'close');
  server.on('request', (request) => {
    stage.log('server')(
      'request',
      request.httpRequest.socket.encrypted,
      request.httpRequest.headers['x-tls'],
    );
    const connection = request.accept(null, request.origin);
    stage.watchConnection(connection, 'server');
    connection.on('message', (message) => connection.sendUTF(`re: ${message.utf8Data}`));
  });
  const client = new stage.lib.client({
    tlsOptions: {
      ...SECRET,
      pskCallback: () => ({ psk: key, identity: 'me' }),
      checkServerIdentity: () => undefined,
      headers: { 'X-TLS': 'yes' },
      port: 1,
      path: '/wrong',
    },
  });
  client.on('connectFailed', (error) => stage.log('client')('connectFailed', error));
  const connected = stage.event(client, 'connect');
  client.connect(`wss://127.0.0.1:${port}/secure`);
  const [connection] = await connected;
  stage.watchConnection(connection, 'client');
  stage.log('client')('secure', client.secure, connection.socket.encrypted);
  connection.sendUTF('hello');
  await stage.event(connection, 'message');
  connection.sendUTF('x'.repeat(60_000));
  await stage.event(connection, 'message');
  connection.close(4000, 'bye');
  await Promise.all([stage.event(connection, 'close'), closed]);
});

scenario('client: wss, and the server is not to be trusted', async (stage) => {
  const { server: httpServer, port } = await stage.http(() =>
    https.createServer({ ...SECRET, pskCallback: () => Buffer.from('another key') }),
  );
  httpServer.on('tlsClientError', () => {});
  const client = new stage.lib.client({
    tlsOptions: {
      ...SECRET,
      pskCallback: () => ({ psk: key, identity: 'me' }),
      checkServerIdentity: () => undefined,
    },
  });
  client.on('connectFailed', (error) => stage.log('client')('connectFailed', error instanceof Error));
  client.connect(`wss://127.0.0.1:${port}/`);
  await stage.event(client, 'connectFailed');
});
