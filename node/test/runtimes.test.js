'use strict';
// The package in other runtimes, and in other versions of Node: those on the PATH, and those that
// TOWLINE_RUNTIMES lists, each the path of a program.
const assert = require('node:assert/strict');
const { spawnSync } = require('node:child_process');
const { delimiter, basename, join } = require('node:path');
const { test } = require('node:test');

const PROGRAM = join(__dirname, 'runtimes/program.cjs');
const more = (process.env.TOWLINE_RUNTIMES ?? '').split(delimiter).filter(Boolean);

for (const runtime of [process.execPath, 'deno', 'bun', ...more]) {
  const isThere = spawnSync(runtime, ['--version']).status === 0;
  test(`in ${runtime}`, { skip: !isThere && 'it is not there' }, () => {
    // Node 20 and 22 warn about url.parse() only with this option; later versions do by default.
    const options = { deno: ['run', '--allow-all'], node: ['--pending-deprecation'] };
    const { status, stdout, stderr } = spawnSync(
      runtime,
      [...(options[basename(runtime, '.exe')] ?? []), PROGRAM],
      {
        encoding: 'utf8',
        timeout: 60_000,
        env: { ...process.env, NODE_OPTIONS: '' },
      },
    );
    assert.equal(`${stdout}${stderr}`.trim(), 'done');
    assert.equal(status, 0);
  });
}
