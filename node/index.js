'use strict';

const server = require('./lib/server');
const client = require('./lib/client');
const router = require('./lib/router');
const { WebSocketFrame: frame } = require('./lib/frame');
const request = require('./lib/request');
const { WebSocketConnection: connection } = require('./lib/connection');
const w3cwebsocket = require('./lib/w3c');
const deprecation = require('./lib/Deprecation');
const { version } = require('./package.json');
const connect = require('./lib/connect');

// Spelled so that an ES module can import the names from this file, too.
module.exports = {
  server,
  client,
  router,
  frame,
  request,
  connection,
  w3cwebsocket,
  deprecation,
  version,
  connect,
};
