// An echo server on Node: `node server.mjs ws|websocket [--listen 127.0.0.1:0] [--compress
// [--takeover]] [--tls DIRECTORY]`; ws also fans out, with `--fanout`. Other options of the Rust servers
// are ignored.

import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import { join } from 'node:path';

const LARGEST = 16 << 20;
const compression = (takeover) => ({
  serverNoContextTakeover: !takeover,
  clientNoContextTakeover: !takeover,
  threshold: 0,
});

const libraries = {
  async ws(http, deflate, isFanout) {
    const { default: WebSocket, WebSocketServer } = await import('ws');
    const server = new WebSocketServer({
      server: http,
      maxPayload: LARGEST,
      perMessageDeflate: deflate,
      clientTracking: false,
    });
    server.on('connection', (socket, request) => {
      socket.on('error', () => {});
      if (isFanout) fanOut(socket, request.url, WebSocket.OPEN);
      else socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }));
    });
  },

  async websocket(http, _deflate, isFanout) {
    if (isFanout) throw new Error('no fan-out here');
    const { default: library } = await import('websocket');
    const server = new library.server({
      httpServer: http,
      autoAcceptConnections: true,
      maxReceivedFrameSize: LARGEST,
      maxReceivedMessageSize: LARGEST,
      fragmentOutgoingMessages: false,
    });
    server.on('connect', (connection) => {
      connection.on('error', () => {});
      connection.on('message', (message) => {
        if (message.type === 'utf8') connection.sendUTF(message.utf8Data);
        else connection.sendBytes(message.binaryData);
      });
    });
  },
};

// `/join/TOPIC` or `/publish/TOPIC`, and the loop over clients of the documentation of ws.
const topics = new Map();
const fanOut = (socket, path, OPEN) => {
  const [, action, topic] = path.split('/');
  if (!topics.has(topic)) topics.set(topic, new Set());
  const members = topics.get(topic);
  if (action === 'join') {
    members.add(socket);
    socket.on('close', () => members.delete(socket));
    socket.send('joined');
    return;
  }
  socket.on('message', (data, isBinary) => {
    for (const client of members) {
      if (client.readyState === OPEN) client.send(data, { binary: isBinary });
    }
  });
};

const [name, ...rest] = process.argv.slice(2);
if (!Object.hasOwn(libraries, name)) {
  console.error(`no library ${name} here, only ${Object.keys(libraries).join(', ')}`);
  process.exit(2);
}
const value = (option) => {
  const at = rest.indexOf(option);
  return at < 0 ? undefined : rest[at + 1];
};
const [host, port] = (value('--listen') ?? '127.0.0.1:0').split(':');

const directory = value('--tls');
const file = (name) => readFileSync(join(directory, name));
const http =
  directory === undefined
    ? createServer()
    : createSecureServer({ cert: file('chain.pem'), key: file('key.pem') });
const deflate = rest.includes('--compress') && compression(rest.includes('--takeover'));
await libraries[name](http, deflate, rest.includes('--fanout'));
http.listen({ host, port: Number(port), backlog: 1024 }, () => {
  const address = http.address();
  console.log(`listening ${address.address}:${address.port}`);
});
