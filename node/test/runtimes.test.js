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
    const options = basename(runtime).startsWith('deno') ? ['run', '--allow-all'] : [];
    const { status, stdout, stderr } = spawnSync(runtime, [...options, PROGRAM], {
      encoding: 'utf8',
      timeout: 60_000,
      env: { ...process.env, NODE_OPTIONS: '' },
    });
    // Node tells only of what is not below node_modules, as here, that it calls url.parse().
    const warnings = stderr.replace(/^.*DEP0169.*\n.*--trace-deprecation.*\n/m, '');
    assert.equal(`${stdout}${warnings}`.trim(), 'done');
    assert.equal(status, 0);
  });
}
