'use strict';

// Builds the native module with cargo and puts it where `lib/native.js` looks for it. As `npm
// install` in a clone calls it, with --if-needed, only if there is none, or one that is older than what it is
// made from.

const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');

const { built, load, target } = require('../lib/native');

const root = path.join(__dirname, '..', '..');

function isLoadable() {
  try {
    load();
    return true;
  } catch {
    return false;
  }
}

/** What the module is made from. */
const SOURCES = [
  'Cargo.lock',
  'Cargo.toml',
  'node/Cargo.toml',
  'node/build.rs',
  'node/src',
  'crates/proto/Cargo.toml',
  'crates/proto/src',
];

/** When a file, or the newest in a directory, was changed; 0 if there is none. */
function changedAt(file) {
  const stat = fs.statSync(file, { throwIfNoEntry: false });
  if (stat === undefined) return 0;
  if (!stat.isDirectory()) return stat.mtimeMs;
  return Math.max(0, ...fs.readdirSync(file).map((name) => changedAt(path.join(file, name))));
}

/** Whether what is loaded was built here, from sources that have changed since. */
function isOutdated() {
  const builtAt = changedAt(built);
  return builtAt > 0 && SOURCES.some((source) => changedAt(path.join(root, source)) > builtAt);
}

function fail(message) {
  console.error(`towline: ${message}`);
  process.exit(1);
}

/** The library that cargo names among what it has made. */
function libraryOf(output) {
  const isOurs = ({ reason, target }) => reason === 'compiler-artifact' && target.kind.includes('cdylib');
  const artifacts = output.split('\n').filter(Boolean).map(JSON.parse).filter(isOurs);
  const files = artifacts.flatMap(({ filenames }) => filenames);
  return files.find((file) => /\.(so|dylib|dll)$/.test(file));
}

if (process.argv.includes('--if-needed') && isLoadable() && !isOutdated()) process.exit(0);

const args = ['build', '--profile', 'addon', '--package', 'towline-node', '--message-format', 'json'];
const cargo = spawnSync('cargo', args, {
  cwd: root,
  encoding: 'utf8',
  maxBuffer: 64 << 20,
  stdio: ['ignore', 'pipe', 'inherit'],
});
if (cargo.error?.code === 'ENOENT') {
  fail(`to build the native module for ${target()} takes Rust: https://rustup.rs`);
}
if (cargo.status !== 0) fail('cargo has failed');

const library = libraryOf(cargo.stdout);
if (library === undefined) fail('cargo has made no library');
// A copy beside it, then a rename: a process that has the old one loaded is left alone.
fs.copyFileSync(library, `${built}.new`);
fs.renameSync(`${built}.new`, built);
