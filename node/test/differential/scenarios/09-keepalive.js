'use strict';
const { bothRoles, scenario } = require('../registry.js');
const { shown } = require('../stage.js');

// The interval is what is tested here, so time has to pass; as little as can be told apart.
const FAST = {
  keepalive: true,
  keepaliveInterval: 30,
  keepaliveGracePeriod: 60,
  dropConnectionOnKeepaliveTimeout: true,
};
// A peer that answers must not be given up because the machine is busy.
const PATIENT = { ...FAST, keepaliveGracePeriod: 3000 };
const nothingFor = (time) =>
  new Promise((resolve) => {
    setTimeout(resolve, time);
  });

bothRoles('keepalive: a silent peer is pinged, and dropped', async (stage, role) => {
  const began = performance.now();
  const { connection, peer } = await stage.watched(role, FAST);
  stage.log('peer')('got', ...shown(await peer.next()));
  await stage.event(connection, 'close');
  stage.log('connection')('in time', performance.now() - began >= 85);
  for (const frame of await peer.rest()) stage.log('peer')('got', ...shown(frame));
});

bothRoles('keepalive: a peer that answers is kept', async (stage, role) => {
  const { connection, peer } = await stage.watched(role, PATIENT);
  for (let n = 0; n < 5; n += 1) {
    const frame = await peer.next();
    stage.log('peer')('got', ...shown(frame));
    peer.send({ opcode: 'pong', payload: frame.payload });
  }
  stage.log('connection')('connected', connection.connected);
});

bothRoles('keepalive: any byte is a sign of life', async (stage, role) => {
  const { connection, peer } = await stage.watched(role, PATIENT);
  const long = peer.frame({ payload: 'a long one' });
  for (const byte of long.subarray(0, 5)) {
    stage.log('peer')('got', ...shown(await peer.next()));
    peer.write(Buffer.from([byte]));
  }
  stage.log('connection')('connected', connection.connected);
});

bothRoles('keepalive: dropConnectionOnKeepaliveTimeout can be off', async (stage, role) => {
  const { connection, peer } = await stage.watched(role, {
    ...FAST,
    dropConnectionOnKeepaliveTimeout: false,
    keepaliveGracePeriod: 5,
  });
  for (let n = 0; n < 4; n += 1) stage.log('peer')('got', ...shown(await peer.next()));
  stage.log('connection')('connected', connection.connected);
});

bothRoles('keepalive: can be off', async (stage, role) => {
  const { connection, peer } = await stage.watched(role, { ...FAST, keepalive: false });
  const first = peer.next();
  await Promise.race([first.then((frame) => stage.log('peer')('got', ...shown(frame))), nothingFor(120)]);
  stage.log('connection')('connected', connection.connected);
});

bothRoles('keepalive: useNativeKeepalive sends no pings', async (stage, role) => {
  const { connection, peer } = await stage.watched(role, { ...FAST, useNativeKeepalive: true });
  const first = peer.next();
  await Promise.race([first.then((frame) => stage.log('peer')('got', ...shown(frame))), nothingFor(120)]);
  stage.log('connection')('connected', connection.connected);
});

bothRoles('keepalive: stops when the connection closes', async (stage, role) => {
  const { connection, peer } = await stage.watched(role, FAST);
  peer.close(1000);
  for (const frame of await peer.rest()) stage.log('peer')('got', ...shown(frame));
  await nothingFor(120);
  stage.log('connection')('closed', connection.closeReasonCode);
});

scenario('keepalive: a paused connection', async (stage) => {
  const { connection, peer } = await stage.watched('server', FAST);
  connection.pause();
  peer.send({ payload: 'unread' });
  await Promise.race([stage.event(connection, 'close'), nothingFor(2000)]);
  stage.log('connection')('in the end', connection.connected, connection.closeReasonCode);
});

scenario('keepalive: a client has none by itself', (stage) => {
  const { config } = new stage.lib.client();
  stage.log('config')('keepalive', config.keepalive, config.keepaliveInterval);
});

for (const [what, config] of Object.entries({
  'an interval that is no number': { keepaliveInterval: '20' },
  'no interval': { keepaliveInterval: undefined },
  'a grace period that is no number': { keepaliveGracePeriod: null },
})) {
  scenario(`keepalive: ${what}`, async (stage) => {
    const { port } = await stage.serve({ keepalive: true, ...config }, (request) => {
      stage.attempt(stage.log('request'), 'accept', () => request.accept(null, null));
      request.socket.destroy();
    });
    const peer = require('../stage.js').wire.dial(port);
    await peer.ended;
  });
}
