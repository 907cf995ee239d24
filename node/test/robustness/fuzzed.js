'use strict';
// Connections under test whose other end is written by hand.
const http = require('node:http');
const net = require('node:net');
const { once } = require('node:events');
const { after, before } = require('node:test');
const { Peer, dial, upgradeResponse } = require('../support/wire.js');
const library = require('../support/library.js');

let httpServer;
let rawServer;
before(async () => {
  httpServer = http.createServer();
  rawServer = net.createServer();
  for (const server of [httpServer, rawServer]) {
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
  }
});
after(() => {
  httpServer.close();
  rawServer.close();
});

/** A connection under test in that role, and the peer at its other end. */
async function connect(role, config, headers = {}) {
  if (role === 'server') {
    const server = new library.server({ httpServer, autoAcceptConnections: true, ...config });
    const connected = once(server, 'connect');
    const peer = dial(httpServer.address().port, { headers });
    const [connection] = await connected;
    server.unmount();
    await peer.head();
    return { connection, peer };
  }
  const client = new library.client(config);
  const arrived = once(rawServer, 'connection');
  const connected = once(client, 'connect');
  client.connect(`ws://127.0.0.1:${rawServer.address().port}/`);
  const [socket] = await arrived;
  const peer = new Peer(socket);
  peer.write(upgradeResponse(await peer.head(), headers));
  return { connection: (await connected)[0], peer };
}

module.exports = { connect };
