'use strict';
// An echo server for the Autobahn testsuite, run from the root of the repository:
//
//   python3 testing/interop/autobahn/autobahn.py server -- node node/test/autobahn/server.js
//
// With --deflate it takes permessage-deflate, which sections 12 and 13 are about.
const http = require('node:http');
const { parseArgs } = require('node:util');

const { values } = parseArgs({
  options: {
    listen: { type: 'string', default: '127.0.0.1:0' },
    deflate: { type: 'boolean', default: false },
    library: { type: 'string', default: '../../' },
  },
});
const { server: WebSocketServer } = require(values.library);
const LARGEST = 64 * 1024 * 1024;

const [host, port] = values.listen.split(':');
const httpServer = http.createServer((_, response) => response.writeHead(426).end());
const server = new WebSocketServer({
  httpServer,
  autoAcceptConnections: true,
  maxReceivedFrameSize: LARGEST,
  maxReceivedMessageSize: LARGEST,
  maxReceivedFragments: 131_072,
  fragmentOutgoingMessages: false,
  perMessageDeflate: values.deflate,
});
server.on('connect', (connection) => {
  connection.on('error', () => {}); // the suite resets connections
  connection.on('message', (message) => {
    if (message.type === 'utf8') connection.sendUTF(message.utf8Data);
    else connection.sendBytes(message.binaryData);
  });
});
httpServer.listen(Number(port), host, () => {
  console.log(`listening on ${host}:${httpServer.address().port}`);
});
