'use strict';
const { EventEmitter } = require('node:events');
const util = require('node:util');
const { scenario } = require('../registry.js');

const NAMES = [
  'server',
  'client',
  'router',
  'frame',
  'request',
  'connection',
  'w3cwebsocket',
  'deprecation',
  'version',
];

/** What the documentation, or the package's own examples, name. */
const METHODS = {
  server: [
    'mount',
    'unmount',
    'closeAllConnections',
    'shutDown',
    'broadcast',
    'broadcastUTF',
    'broadcastBytes',
  ],
  client: ['connect', 'abort'],
  router: ['attachServer', 'detachServer', 'mount', 'unmount'],
  request: ['readHandshake', 'accept', 'reject'],
  connection: [
    'close',
    'drop',
    'sendUTF',
    'sendBytes',
    'send',
    'ping',
    'pong',
    'sendFrame',
    'sendCloseFrame',
    'pause',
    'resume',
  ],
  frame: ['toBuffer', 'toString'],
  w3cwebsocket: ['send', 'close'],
};

scenario('exports: names, kinds, names of the classes', ({ lib, log }) => {
  const line = log('exports');
  for (const name of NAMES) line(name, typeof lib[name]);
  for (const name of Object.keys(METHODS)) {
    line('class', name, lib[name].name);
    for (const method of METHODS[name]) line('method', name, method, typeof lib[name].prototype[method]);
  }
  line('version', /^\d+\.\d+\.\d+/.test(lib.version));
});

scenario('exports: emitters', ({ lib, log }) => {
  for (const name of NAMES.slice(0, 7)) {
    log('emitters')(name, lib[name].prototype instanceof EventEmitter);
  }
});

scenario('exports: close codes and their descriptions', ({ lib, log }) => {
  const line = log('codes');
  for (const name of Object.keys(lib.connection).sort()) line(name, lib.connection[name]);
});

scenario('exports: classes can be inherited from in the old way', async (stage) => {
  const { lib } = stage;
  const line = stage.log('inherit');
  function Server(config) {
    lib.server.call(this, config);
    this.own = 1;
  }
  util.inherits(Server, lib.server);
  function Client(config) {
    lib.client.call(this, config);
  }
  util.inherits(Client, lib.client);
  function Router(config) {
    lib.router.call(this, config);
  }
  util.inherits(Router, lib.router);

  const { server: httpServer, url } = await stage.http();
  const server = new Server({ httpServer });
  const router = new Router({ server });
  router.mount('*', null, (request) => {
    const connection = request.accept(request.origin);
    connection.on('message', (message) => connection.sendUTF(message.utf8Data));
  });
  const client = new Client();
  line('instances', server instanceof lib.server, client instanceof lib.client, server.own);
  client.connect(url);
  const [connection] = await stage.event(client, 'connect');
  connection.sendUTF('inherited');
  line('echo', ...(await stage.event(connection, 'message')));
});

scenario('exports: classes can be inherited from with class', async (stage) => {
  const { lib } = stage;
  class Server extends lib.server {
    hello() {
      return this.connections.length;
    }
  }
  class Client extends lib.client {}
  const { server: httpServer } = await stage.http();
  const server = new Server({ httpServer });
  stage.log('inherit')('own method', server.hello(), new Client() instanceof lib.client);
});

scenario('exports: methods can be added to the prototypes, and wrapped', async (stage) => {
  const { lib } = stage;
  const line = stage.log('extended');
  const { sendUTF } = lib.connection.prototype;
  lib.connection.prototype.sendJSON = function sendJSON(value) {
    this.sendUTF(JSON.stringify(value));
  };
  lib.connection.prototype.sendUTF = function wrapped(...values) {
    line('sendUTF is called', values[0]);
    return sendUTF.apply(this, values);
  };
  const { connection, peer } = await stage.connection('server');
  connection.sendJSON({ a: 1 });
  connection.send('through send');
  line('received', (await peer.next()).payload.toString());
  line('received', (await peer.next()).payload.toString());
  lib.connection.prototype.sendUTF = sendUTF;
  delete lib.connection.prototype.sendJSON;
});

scenario('deprecation: a warning is given once, and can be turned off', ({ lib, log }) => {
  const line = log('deprecation');
  const { deprecation } = lib;
  const { warn } = console;
  console.warn = (...values) => line('console.warn', ...values);
  line('at first', deprecation.disableWarnings, deprecation.deprecationWarningMap);
  deprecation.deprecationWarningMap.old = 'old is now new';
  deprecation.warn('unknown');
  deprecation.warn('old');
  deprecation.warn('old');
  deprecation.deprecationWarningMap.old = 'again';
  deprecation.disableWarnings = true;
  deprecation.warn('old');
  deprecation.disableWarnings = false;
  console.warn = warn;
});
