'use strict';
// Packages from npm that depend on `websocket`, with this package in its place. They are installed
// where the registry is there; on CI it has to be.
//
//   TOWLINE_TEST_AS=websocket     leaves npm `websocket` where it is, to try the programs themselves
const assert = require('node:assert/strict');
const { execFile } = require('node:child_process');
const fs = require('node:fs');
const { join } = require('node:path');
const { test } = require('node:test');
const { promisify } = require('node:util');
const fromNpm = require('../support/from-npm.js');
const programs = require('./programs.js');

const ROOT = join(__dirname, '../..');
const AS = process.env.TOWLINE_TEST_AS;
const TIME = 60_000;

const { directory: DIRECTORY, why } = fromNpm('dependents', join(__dirname, 'package.json'), (directory) =>
  fs.renameSync(join(directory, 'node_modules/websocket'), join(directory, 'websocket')),
);

test('dependents', { skip: why }, async (t) => {
  const place = join(DIRECTORY, 'node_modules/websocket');
  fs.rmSync(place, { force: true, recursive: true });
  fs.symlinkSync(AS === 'websocket' ? join(DIRECTORY, 'websocket') : ROOT, place, 'junction');
  for (const name of Object.keys(programs)) {
    await t.test(name, async () => {
      const { stdout } = await promisify(execFile)(
        process.execPath,
        [join(__dirname, 'play.js'), DIRECTORY, name],
        { timeout: TIME },
      );
      const result = JSON.parse(stdout.trim().split('\n').at(-1));
      assert.equal(result.as, AS ?? 'towline');
    });
  }
});
