'use strict';
// What every runtime has to do, without a test runner: a server, all kinds of clients, and the order
// of things. Prints `done`.
const assert = require('assert');
const http = require('http');
const { connect, server: Server, client: Client, w3cwebsocket: Socket } = require('../../index.js');

const late = setTimeout(() => {
  console.error('not done in time');
  process.exit(1);
}, 20_000);

const once = (target, event) =>
  new Promise((resolve) => {
    target.once(event, resolve);
  });

async function main() {
  const httpServer = http.createServer((_, response) => response.end('a page'));
  await new Promise((resolve) => {
    httpServer.listen(0, '127.0.0.1', resolve);
  });
  const url = `ws://127.0.0.1:${httpServer.address().port}/`;
  const server = new Server({ httpServer });
  server.on('request', (request) => {
    if (request.resource !== '/') return request.reject(403, 'not you');
    const accepted = request.accept(request.requestedProtocols[0] ?? null, request.origin);
    accepted.on('message', (message) => accepted.send(message.utf8Data ?? message.binaryData));
    return undefined;
  });

  const connection = await connect(url, { protocols: 'chat' });
  assert.strictEqual(connection.protocol, 'chat');
  const sent = Array.from({ length: 200 }, (_, n) =>
    n % 20 === 0 ? 'é世🚢'.repeat(n * 100) : `message ${n}`,
  );
  for (const text of sent) connection.sendUTF(text);
  connection.sendBytes(Buffer.alloc(300_000, 7));
  const got = [];
  for await (const message of connection) {
    got.push(message);
    if (message.type === 'binary') break;
  }
  assert.deepStrictEqual(
    got.slice(0, -1).map(({ utf8Data }) => utf8Data),
    sent,
  );
  assert.ok(got[200].binaryData.equals(Buffer.alloc(300_000, 7)));

  // Promises settle between two messages.
  let state = 'none';
  const states = [];
  connection.on('message', async ({ utf8Data }) => {
    states.push(state);
    await null;
    state = utf8Data;
  });
  for (const text of ['a', 'b', 'c']) connection.sendUTF(text);
  while (states.length < 3) await once(connection, 'message');
  assert.deepStrictEqual(states, ['none', 'a', 'b']);
  connection.close(4000, 'over');
  assert.deepStrictEqual(await connection.closed, { code: 4000, description: 'over' });

  const client = new Client();
  client.connect(`${url}other`);
  assert.strictEqual((await once(client, 'connectFailed')).code, 'ERR_HTTP_RESPONSE');

  const socket = new Socket(url);
  const message = new Promise((resolve) => {
    socket.onmessage = resolve;
  });
  socket.onopen = () => socket.send('ahoy');
  assert.strictEqual((await message).data, 'ahoy');
  const closed = new Promise((resolve) => {
    socket.onclose = resolve;
  });
  socket.close();
  assert.strictEqual((await closed).wasClean, true);

  clearTimeout(late);
  server.shutDown();
  console.log('done');
  process.exit(0);
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
