'use strict';

const { performance } = require('perf_hooks');

/** Milliseconds, of a clock that only goes forward. */
module.exports = { now: () => performance.now() };
