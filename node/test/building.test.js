'use strict';
// `npm install` in a clone: the module is built if there is none, or one that is older than its sources.
const assert = require('node:assert/strict');
const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { test } = require('node:test');
const { built } = require('../lib/native.js');

const { bun, deno } = process.versions;
const isPossible = process.platform !== 'win32' && !bun && !deno && fs.existsSync(built);
const skip = isPossible ? false : 'takes a module that was built here, and a shell';

const NODE = path.join(__dirname, '..');
const SOURCES = ['Cargo.lock', 'node/src/lib.rs', 'node/build.rs', 'crates/proto/src/frame/lib.rs'];

/** A clone in which cargo does nothing but take note, and say where the module is. */
function clone(t) {
  const root = fs.mkdtempSync(path.join(os.tmpdir(), 'towline-building-'));
  t.after(() => fs.rmSync(root, { recursive: true }));
  for (const file of SOURCES) {
    fs.mkdirSync(path.dirname(path.join(root, file)), { recursive: true });
    fs.writeFileSync(path.join(root, file), '');
  }
  for (const directory of ['lib', 'scripts'])
    fs.cpSync(path.join(NODE, directory), path.join(root, 'node', directory), { recursive: true });
  const library = path.join(root, 'libtowline_node.so');
  fs.copyFileSync(built, library);
  const artifact = { reason: 'compiler-artifact', target: { kind: ['cdylib'] }, filenames: [library] };
  fs.mkdirSync(path.join(root, 'bin'));
  const lines = ['#!/bin/sh', `echo >>'${root}/builds'`, `echo '${JSON.stringify(artifact)}'`, ''];
  fs.writeFileSync(path.join(root, 'bin/cargo'), lines.join('\n'), { mode: 0o755 });
  return root;
}

/** Prepares, and returns how often that has built so far. */
function prepare(root, ...values) {
  const { status, stderr } = spawnSync(process.execPath, ['node/scripts/build.js', ...values], {
    cwd: root,
    encoding: 'utf8',
    env: { ...process.env, PATH: `${path.join(root, 'bin')}:${process.env.PATH}` },
  });
  assert.equal(status, 0, stderr);
  const builds = path.join(root, 'builds');
  return fs.existsSync(builds) ? fs.statSync(builds).size : 0;
}

/** Sets when files were changed, in seconds from now. */
function change(root, seconds, ...files) {
  const at = Date.now() / 1000 + seconds;
  for (const file of files) fs.utimesSync(path.join(root, file), at, at);
}

test('the module is built if there is none, and whenever one asks for it', { skip }, (t) => {
  const root = clone(t);
  change(root, -1000, ...SOURCES);
  assert.equal(prepare(root, '--if-needed'), 1);
  assert.equal(prepare(root, '--if-needed'), 1);
  assert.equal(prepare(root), 2);
});

for (const source of SOURCES) {
  test(`the module is built anew once ${source} has changed`, { skip }, (t) => {
    const root = clone(t);
    change(root, -1000, ...SOURCES);
    prepare(root);
    change(root, -500, 'node/towline.node');
    assert.equal(prepare(root, '--if-needed'), 1);
    change(root, -100, source);
    assert.equal(prepare(root, '--if-needed'), 2);
    assert.equal(prepare(root, '--if-needed'), 2);
  });
}

test('without sources, the module that is there will do', { skip }, (t) => {
  const root = clone(t);
  prepare(root);
  change(root, -1000, 'node/towline.node');
  for (const source of SOURCES) fs.rmSync(path.join(root, source));
  assert.equal(prepare(root, '--if-needed'), 1);
});
