'use strict';

// The path that programs know from `websocket/lib`.

module.exports = require('./w3c');
