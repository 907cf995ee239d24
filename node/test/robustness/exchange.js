'use strict';
const { once } = require('node:events');
const http = require('node:http');

/** An echo server and a client: how many messages came back. `each` is called for every one. */
async function exchange(Server, Client, messages, each = () => {}) {
  const httpServer = http.createServer().listen(0, '127.0.0.1');
  await once(httpServer, 'listening');
  const server = new Server({ httpServer, autoAcceptConnections: true });
  server.on('connect', (connection) => {
    connection.on('message', (message) => connection.send(message.utf8Data ?? message.binaryData));
  });
  const client = new Client();
  client.connect(`ws://127.0.0.1:${httpServer.address().port}/`);
  const [connection] = await once(client, 'connect');
  let echoed = 0;
  for (; echoed < messages; echoed += 1) {
    const data = echoed % 2 ? `message ${echoed}` : Buffer.from([echoed & 255, 1, 2]);
    connection.send(data);
    const [{ utf8Data, binaryData }] = await once(connection, 'message');
    if (utf8Data !== data && !binaryData?.equals(data)) throw new Error('not an echo');
    each(echoed);
  }
  connection.close();
  await once(connection, 'close');
  server.shutDown();
  httpServer.close();
  return echoed;
}

module.exports = { exchange };
