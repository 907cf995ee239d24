'use strict';

module.exports = {
  server: require('./lib/server'),
  client: require('./lib/client'),
  router: require('./lib/router'),
  frame: require('./lib/frame').WebSocketFrame,
  request: require('./lib/request'),
  connection: require('./lib/connection').WebSocketConnection,
  w3cwebsocket: require('./lib/w3c'),
  deprecation: require('./lib/Deprecation'),
  version: require('./package.json').version,
  connect: require('./lib/connect'),
};
