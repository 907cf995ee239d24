'use strict';

// What bundlers for browsers take in place of the package.

module.exports = {
  w3cwebsocket: globalThis.WebSocket ?? null,
  version: require('../package.json').version,
};
