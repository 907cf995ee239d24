'use strict';
// HTTP servers of tests, and clients that are written by hand.
const { once } = require('node:events');
const { dial } = require('./wire.js');

/** Lets a server listen until the test ends; returns its port. */
async function listen(t, server) {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const sockets = new Set();
  server.on('connection', (socket) => sockets.add(socket.once('close', () => sockets.delete(socket))));
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return server.address().port;
}

/** Sends a request, and returns the head and the status of its response. */
async function answer(port, request) {
  const peer = dial(port, request);
  const head = await peer.head();
  const status = Number(/^HTTP\/1\.1 (\d+)/.exec(head)?.[1]);
  return { head, peer, status };
}

module.exports = { answer, listen };
