'use strict';
// Plays one dependent's program, in a process of its own: play.js DIRECTORY NAME.
const { once } = require('node:events');
const { createRequire } = require('node:module');
const { join } = require('node:path');
const { WebSocketServer } = require('ws');
const programs = require('./programs.js');

const [directory, name] = process.argv.slice(2);
const load = createRequire(join(directory, 'index.js'));
const undo = [];

async function serve(onConnection, protocol) {
  const server = new WebSocketServer({
    port: 0,
    host: '127.0.0.1',
    maxPayload: 64 << 20,
    handleProtocols: (offered) => (offered.has(protocol) ? protocol : false),
  });
  server.on('connection', onConnection);
  await once(server, 'listening');
  undo.push(() => server.close());
  const { port } = server.address();
  return { port, url: `ws://127.0.0.1:${port}` };
}

process.on('warning', ({ name: kind, message }) => {
  // What dependents themselves call is not ours.
  if (kind === 'MaxListenersExceededWarning') throw new Error(message);
});

programs[name]({ load, serve, defer: (act) => undo.push(act), websocket: load('websocket') }).then(
  (result) => {
    for (const act of undo) act();
    console.log(JSON.stringify({ as: load('websocket/package.json').name, ...result }));
    process.exit(0);
  },
  (error) => {
    console.error(error);
    process.exit(1);
  },
);
