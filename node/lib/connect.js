'use strict';

const WebSocketClient = require('./client');
const { Inbox } = require('./inbox');

/**
 * Opens a connection: a promise of it. `options` are those of the client, and `protocols`,
 * `origin`, `headers`, `requestOptions` and `signal`, which gives up connecting.
 */
module.exports = function connect(url, options = {}) {
  const { protocols, origin, headers, requestOptions, signal, ...config } = options;
  return new Promise((resolve, reject) => {
    signal?.throwIfAborted();
    const client = new WebSocketClient(config);
    const onAbort = () => client.abort();
    const settle = (settled) => (value) => {
      signal?.removeEventListener('abort', onAbort);
      settled(value);
    };
    signal?.addEventListener('abort', onAbort);
    client.on('connect', (connection) => {
      // What comes before the program asks for it is kept, and the peer held back.
      Inbox.of(connection).isPatient = true;
      settle(resolve)(connection);
    });
    client.on(
      'connectFailed',
      settle((error) => reject(signal?.aborted ? signal.reason : error)),
    );
    client.connect(url, protocols, origin, headers, requestOptions);
  });
};
