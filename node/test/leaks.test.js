'use strict';
// The checks that run in every process of the suite: a program that leaves something fails.
const assert = require('node:assert/strict');
const { spawnSync } = require('node:child_process');
const { join } = require('node:path');
const { test } = require('node:test');

const isLinux = process.platform === 'linux';

for (const [what, expected, message, skip] of [
  ['nothing', 0, /^$/],
  ['library', 0, /^$/],
  ['warning', 70, /something/],
  ['listener', 71, /leaves\n {2}listener of 'SIGUSR2' .*leaving\.js/],
  ['descriptor', 71, /leaves\n {2}descriptor \d+: .*leaving\.js/, !isLinux],
  ['socket', 71, /leaves\n {2}descriptor \d+: socket:/, !isLinux],
]) {
  test(`a program that leaves: ${what}`, { skip }, () => {
    const support = (file) => ['--require', join(__dirname, 'support', file)];
    const { status, stderr } = spawnSync(
      process.execPath,
      [...support('warnings.js'), ...support('leaks.js'), join(__dirname, 'support/leaving.js'), what],
      { encoding: 'utf8', env: { ...process.env, NODE_OPTIONS: '' } },
    );
    assert.match(stderr, message);
    assert.equal(status, expected);
  });
}
