'use strict';
// A program that leaves something: leaving.js WHAT.
const fs = require('node:fs');
const net = require('node:net');

const leave = {
  nothing() {
    fs.closeSync(fs.openSync(__filename));
    const listen = () => {};
    process.on('SIGUSR2', listen).off('SIGUSR2', listen);
    process.once('beforeExit', () => {});
  },
  descriptor: () => fs.openSync(__filename),
  socket: () => net.createServer().listen(0, '127.0.0.1').unref(),
  listener: () => process.on('SIGUSR2', () => {}),
  warning: () => process.emitWarning('something'),
  library() {
    // Twice the package: only one listener is added.
    require('../../index.js');
    for (const file of Object.keys(require.cache)) delete require.cache[file];
    require('../../index.js');
  },
};

leave[process.argv[2]]();
