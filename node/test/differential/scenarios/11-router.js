'use strict';
const { EventEmitter } = require('node:events');
const { scenario } = require('../registry.js');
const { wire } = require('../stage.js');

async function routed(stage) {
  const { server, port } = await stage.serve();
  return { server, port, router: new stage.lib.router({ server }) };
}

/** Asks for a path and protocols; the status line and the protocol of the answer. */
async function ask(stage, port, path, protocols) {
  const headers = protocols ? { 'Sec-WebSocket-Protocol': protocols } : {};
  const { response } = await stage.dial(port, { path, headers });
  stage.log('answers')(
    `${path} ${protocols ?? '-'}`,
    response.split('\r\n')[0],
    /^sec-websocket-protocol: .*$/im.exec(response)?.[0],
    /^x-websocket-reject-reason: .*$/im.exec(response)?.[0],
  );
}

scenario('router: paths and protocols', async (stage) => {
  const { port, router } = await routed(stage);
  const line = stage.log('router');
  const take = (name) => (request) => {
    line(name, request.resource, request.protocol);
    request.accept(request.origin);
  };
  router.mount('/exact', null, take('/exact'));
  router.mount('/exact', 'chat', take('/exact chat'));
  router.mount('/any', '*', take('/any *'));
  router.mount(/^\/re\/\d+$/, 'chat', take('RegExp'));
  router.mount('/dots.and(stars)*', null, take('escaped'));
  router.mount('*', 'last', take('* last'));
  for (const [path, protocols] of [
    ['/exact'],
    ['/exact?query=1'],
    ['/exact/'],
    ['/exact', 'chat'],
    ['/exact', 'other'],
    ['/exact', 'other, CHAT'],
    ['/any'],
    ['/any', 'x, y'],
    ['/re/12', 'chat'],
    ['/re/x', 'chat'],
    ['/dots.and(stars)*'],
    ['/dotsXand(stars)*'],
    ['/elsewhere', 'last'],
    ['/elsewhere', 'first, last'],
    ['/elsewhere'],
    ['/exact', 'last, chat'],
  ]) {
    await ask(stage, port, path, protocols);
  }
});

scenario('router: the request', async (stage) => {
  const { port, router } = await routed(stage);
  const line = stage.log('router');
  router.mount('/x', 'chat', function handler(request) {
    line('kind', request instanceof EventEmitter, request.webSocketRequest, this === router);
    for (const name of [
      'protocol',
      'origin',
      'resource',
      'remoteAddress',
      'webSocketVersion',
      'requestedExtensions',
      'cookies',
    ])
      line(name, request[name]);
    line(
      'resourceURL',
      request.resourceURL.pathname,
      { ...request.resourceURL.query },
      request.httpRequest.url,
    );
    request.on('requestAccepted', (connection) => line('requestAccepted', connection));
    request.on('requestRejected', (who) => line('requestRejected', who === request));
    const connection = request.accept(request.origin, [{ name: 'a', value: 'b' }]);
    line('accepted', connection.protocol);
  });
  const peer = await stage.dial(port, {
    path: '/x?y=z',
    headers: { 'Sec-WebSocket-Protocol': 'Chat', Origin: 'http://o.example', Cookie: 'c=d' },
  });
  stage.log('peer')('response', peer.response);
});

scenario('router: reject', async (stage) => {
  const { port, router } = await routed(stage);
  router.mount('/x', null, (request) => {
    request.on('requestRejected', (who) => stage.log('router')('requestRejected', who === request));
    request.reject(418, 'teapot', { 'X-A': 'b' });
  });
  stage.log('peer')('response', (await stage.dial(port, { path: '/x' })).response);
});

scenario('router: unmount, and what cannot be', async (stage) => {
  const { port, router } = await routed(stage);
  const line = stage.log('router');
  const handler = (request) => request.accept(request.origin);
  stage.attempt(line, 'mount', () => router.mount('/a', null, handler));
  stage.attempt(line, 'mount again', () => router.mount('/a', null, handler));
  stage.attempt(line, 'mount with a protocol', () => router.mount('/a', 'Chat', handler));
  stage.attempt(line, 'mount the protocol again', () => router.mount('/a', 'chat', handler));
  stage.attempt(line, 'mount no path', () => router.mount(null, null, handler));
  stage.attempt(line, 'mount no callback', () => router.mount('/b', null));
  stage.attempt(line, 'mount an odd path', () => router.mount({}, null, handler));
  line('handlers', router.handlers.length);
  await ask(stage, port, '/a');
  stage.attempt(line, 'unmount', () => router.unmount('/a', 'chat'));
  stage.attempt(line, 'unmount again', () => router.unmount('/a', 'chat'));
  await ask(stage, port, '/a', 'chat');
  await ask(stage, port, '/a');
  line('handlers', router.handlers.length);
});

scenario('router: unmount without a protocol', async (stage) => {
  const { router } = await routed(stage);
  router.mount('/a', null, () => {});
  try {
    router.unmount('/a');
    stage.log('router')('returns', router.handlers.length);
  } catch (error) {
    stage.log('router')('throws', error.constructor.name);
  }
});

scenario('router: attach and detach', async (stage) => {
  const { server, port } = await stage.serve();
  const line = stage.log('router');
  const router = new stage.lib.router();
  stage.attempt(line, 'detach', () => router.detachServer());
  stage.attempt(line, 'attach nothing', () => router.attachServer());
  router.mount('*', null, (request) => request.accept(request.origin));
  router.attachServer(server);
  line('attached', router.server === server, server.listenerCount('request'));
  await ask(stage, port, '/x');
  router.detachServer();
  line('detached', router.server, server.listenerCount('request'));
  await ask(stage, port, '/x');
});

scenario('router: two on one server', async (stage) => {
  const { server, port } = await stage.serve();
  const [one, two] = [new stage.lib.router({ server }), new stage.lib.router()];
  one.mount('/one', null, (request) => request.accept(request.origin));
  await ask(stage, port, '/one');
  void two;
  server.on('request', (request) => stage.log('server')('request', request.resource));
  const peer = wire.dial(port, { path: '/other' });
  stage.log('answers')('other', (await peer.head()).split('\r\n')[0]);
});
