'use strict';
// Exchanges messages with itself; says so at the end, or at the start if there is none.
const { parentPort, workerData } = require('node:worker_threads');
const { exchange } = require('./exchange.js');
const { client, server } = require('../support/library.js');

const { messages } = workerData;
const endless = messages === Infinity;
exchange(server, client, messages, (n) => {
  if (endless && n === 20) parentPort.postMessage('under way');
}).then((echoed) => parentPort.postMessage({ echoed }));
