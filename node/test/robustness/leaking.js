'use strict';
// leaking.js CONNECTIONS: opens and closes so many, ends by itself, and prints the memory before,
// at half of it and after as JSON. Needs --expose-gc.
const { once } = require('node:events');
const http = require('node:http');
const { client: Client, server: Server } = require('../support/library.js');

const TOGETHER = 50;
const ROUNDS = Math.ceil(Number(process.argv[2]) / TOGETHER);
const WARM_UP = 10;

const httpServer = http.createServer();
const server = new Server({ httpServer, autoAcceptConnections: true });
server.on('connect', (connection) => {
  connection.on('message', (message) => connection.send(message.utf8Data ?? message.binaryData));
});

const otherEnd = ({ socket: { localPort } }) =>
  server.connections.find(({ socket }) => socket.remotePort === localPort);

function echoes(connection, count) {
  return new Promise((resolve) => {
    let left = count;
    connection.on('message', () => {
      left -= 1;
      if (!left) resolve();
    });
  });
}

/** One connection's life; each ends in another way. */
async function live(number) {
  const client = new Client();
  client.connect(`ws://127.0.0.1:${httpServer.address().port}/`);
  const [connection] = await once(client, 'connect');
  connection.on('error', () => {});
  connection.sendUTF('x'.repeat(1024));
  connection.sendBytes(Buffer.alloc(20_000, number));
  await echoes(connection, 2);
  const closed = once(connection, 'close');
  const ways = [
    () => connection.close(1000, 'done'),
    () => connection.drop(4000, 'dropped'),
    () => connection.socket.destroy(),
    () => otherEnd(connection).close(4001),
  ];
  ways[number % 4]();
  await closed;
}

async function round() {
  const before = server.connections.length;
  if (before) throw new Error(`${before} connections are left`);
  await Promise.all(Array.from({ length: TOGETHER }, (_, number) => live(number)));
  while (server.connections.length) await once(server, 'close');
}

async function memory() {
  for (let n = 0; n < 4; n += 1) {
    await new Promise(setImmediate);
    global.gc();
  }
  const { heapUsed, external, rss } = process.memoryUsage();
  return { heapUsed, external, rss };
}

async function main() {
  httpServer.listen(0, '127.0.0.1');
  await once(httpServer, 'listening');
  for (let n = 0; n < WARM_UP; n += 1) await round();
  const first = await memory();
  for (let n = 0; n < ROUNDS; n += 2) await round();
  const half = await memory();
  for (let n = 0; n < ROUNDS; n += 2) await round();
  const last = await memory();
  const { connections, pendingRequests } = server;
  server.shutDown();
  httpServer.close();
  console.log(
    JSON.stringify({
      first,
      half,
      last,
      after: { connections: connections.length, pendingRequests: pendingRequests.length },
    }),
  );
}

main();
