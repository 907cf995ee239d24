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
  const { stdout } = await promisify(execFile)(
    process.execPath,
    ['--expose-gc', join(__dirname, 'leaking.js'), String(CONNECTIONS)],
    { timeout: 120_000 },
  );
  const { first, half, last, after } = JSON.parse(stdout);
  for (const what of Object.keys(last)) {
    const sizes = [first, half, last].map((memory) => `${Math.round(memory[what] / KIB)} KiB`);
    t.diagnostic(`${what}: ${sizes.join(', ')}`);
  }
  // A connection that stayed would hold more than a KiB of heap, as a socket alone does.
  for (const what of ['heapUsed', 'external']) {
    const grown = last[what] - first[what];
    assert.ok(grown < 1024 * KIB + CONNECTIONS * 64, `${what} has grown by ${grown}`);
  }
  // The allocators take some thousand connections to reach their level; then it has to stay.
  const [grown, bound] =
    CONNECTIONS < 5000
      ? [last.rss - first.rss, 96 * 1024 * KIB]
      : [last.rss - half.rss, (CONNECTIONS * KIB) / 2];
  assert.ok(grown < bound, `the process has grown by ${grown}`);
  assert.deepEqual(after, { connections: 0, pendingRequests: 0 });
});
