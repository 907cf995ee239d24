'use strict';
// Connections that were opened and closed leave nothing behind: neither memory nor a reason for the
// process to stay. TOWLINE_LEAK_CONNECTIONS=10000 for the long run.
const assert = require('node:assert/strict');
const { execFile } = require('node:child_process');
const { join } = require('node:path');
const { test } = require('node:test');
const { promisify } = require('node:util');

const CONNECTIONS = Number(process.env.TOWLINE_LEAK_CONNECTIONS ?? 1000);
const KIB = 1024;

test(`${CONNECTIONS} connections are opened and closed`, async (t) => {
  const { stdout } = await promisify(execFile)(process.execPath,
    ['--expose-gc', join(__dirname, 'leaking.js'), String(CONNECTIONS)], { timeout: 120_000 });
  const { first, last, after } = JSON.parse(stdout);
  const grown = (what) => last[what] - first[what];
  for (const what of Object.keys(last)) {
    t.diagnostic(`${what}: ${Math.round(first[what] / KIB)} KiB, then ${Math.round(last[what] / KIB)} KiB`);
  }
  // A connection that stayed would hold more than a KiB of heap, as a socket alone does.
  assert.ok(grown('heapUsed') < 512 * KIB + CONNECTIONS * 64, `the heap has grown by ${grown('heapUsed')}`);
  assert.ok(grown('external') < 512 * KIB + CONNECTIONS * 64, `external memory has grown by ${grown('external')}`);
  // The allocators take a while to reach their level.
  assert.ok(grown('rss') < 48 * KIB * KIB, `the process has grown by ${grown('rss')}`);
  assert.deepEqual(after, { connections: 0, pendingRequests: 0 });
});
