'use strict';
// Packages from npm that depend on `websocket`, with this package in its place. They are installed
// where the registry is there; on CI it has to be.
//
//   TOWLINE_TEST_AS=websocket     leaves npm `websocket` where it is, to try the programs themselves
const assert = require('node:assert/strict');
const { execFile, spawnSync } = require('node:child_process');
const fs = require('node:fs');
const { join } = require('node:path');
const { test } = require('node:test');
const { promisify } = require('node:util');
const programs = require('./programs.js');

const ROOT = join(__dirname, '../..');
const DIRECTORY = join(ROOT, 'node_modules/.cache/towline-dependents');
const AS = process.env.TOWLINE_TEST_AS;
const TIME = 60_000;

/** Installs what is not there yet. Returns why not, if the registry can't be reached. */
function install() {
  fs.mkdirSync(DIRECTORY, { recursive: true });
  const wanted = fs.readFileSync(join(__dirname, 'package.json'), 'utf8');
  const installed = join(DIRECTORY, 'installed.json');
  if (fs.existsSync(installed) && fs.readFileSync(installed, 'utf8') === wanted) return undefined;
  fs.writeFileSync(join(DIRECTORY, 'package.json'), wanted);
  const npm = (...values) =>
    spawnSync('npm', values, { cwd: DIRECTORY, encoding: 'utf8', timeout: 10 * TIME });
  if (npm('view', 'websocket', 'version', '--fetch-retries=0').status !== 0)
    return "npm's registry is not there";
  const { status, stderr } = npm(
    'install',
    '--ignore-scripts',
    '--legacy-peer-deps',
    '--no-audit',
    '--no-fund',
  );
  if (status !== 0) throw new Error(stderr);
  fs.renameSync(join(DIRECTORY, 'node_modules/websocket'), join(DIRECTORY, 'websocket'));
  fs.writeFileSync(installed, wanted);
  return undefined;
}

const why = install();
if (why && process.env.CI === 'true') throw new Error(why);

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
