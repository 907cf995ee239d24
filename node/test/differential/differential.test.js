'use strict';
// Every scenario is played with npm `websocket` and with this package; what a program can observe
// must be the same, but for what differences.js lists.
//
//   node --test --test-name-pattern='close' …      some scenarios
//   TOWLINE_TEST_AS=websocket                      npm websocket in our place: scenarios that waver
const assert = require('node:assert/strict');
const { fork } = require('node:child_process');
const { readFileSync } = require('node:fs');
const { join } = require('node:path');
const { test } = require('node:test');
require('./actor.js');
const { scenarios } = require('./registry.js');
const differences = require('./differences.js');

const THEIRS = 'websocket';
const OURS = process.env.TOWLINE_TEST_AS ?? join(__dirname, '../..');

/** The exit codes of support/warnings.js and support/leaks.js. */
const FAILURES = new Map([
  [70, 'Node has warned of something'],
  [71, 'descriptors or listeners are left'],
]);

/** name → lines, with one library; goes on with the next scenario if the process is lost. */
async function play(library, names) {
  const logs = new Map();
  const left = [...names];
  while (left.length) {
    const child = fork(join(__dirname, 'actor.js'), [library, ...left], { stdio: 'inherit' });
    let current;
    child.on('message', ({ began, name, lines }) => {
      if (began) current = began;
      else logs.set(name, lines);
    });
    const [status, signal] = await new Promise((resolve) => {
      child.on('exit', (...how) => resolve(how));
    });
    if (FAILURES.has(status)) throw new Error(`${library}: ${FAILURES.get(status)}`);
    if (current && !logs.has(current)) logs.set(current, [`the process ended: ${signal ?? status}`]);
    const before = left.length;
    left.splice(0, left.length, ...left.filter((name) => !logs.has(name)));
    if (left.length === before) throw new Error(`${library}: no scenario can be played`);
  }
  return logs;
}

/** The lines of a listed difference; what is said of both roles at once is said of a server. */
function listedLines(name, whose) {
  const [, plain, role] = /^(.*?)(?: \((server|client)\))?$/.exec(name);
  for (const { scenarios: where } of differences.list) {
    if (where[name]) return where[name][whose];
    if (role && where[plain]) {
      return where[plain][whose].map((line) =>
        role === 'server' ? line : line.replace('"unmasked"', '"masked"'),
      );
    }
  }
  return [];
}

/** `lines` without those of a listed difference, each of which must be there. */
function without(lines, listed, whose) {
  const rest = [...lines];
  for (const line of listed) {
    const at = rest.indexOf(line);
    assert.ok(
      at >= 0,
      `${whose} no longer has the line of a listed difference:\n  ${line}\n` + `but\n  ${lines.join('\n  ')}`,
    );
    rest.splice(at, 1);
  }
  return rest;
}

/** What only one of the two logs has, or both logs if they have the same lines in another order. */
function compared(theirs, ours) {
  const left = [...ours];
  const only = theirs.filter((line) => {
    const at = left.indexOf(line);
    if (at >= 0) left.splice(at, 1);
    return at < 0;
  });
  if (!only.length && !left.length) return `theirs\n  ${theirs.join('\n  ')}\nours\n  ${ours.join('\n  ')}`;
  return [...only.map((line) => `theirs  ${line}`), ...left.map((line) => `ours    ${line}`)].join('\n');
}

/** Fails if a scenario is broken, or shows a difference that is not listed. */
function judge(name, theirs, ours) {
  assert.ok(theirs.get(name).length, 'a scenario that observes nothing');
  const broken = theirs.get(name).filter((line) => /^process: (failed|not done)|^the process/.test(line));
  assert.deepEqual(broken, [], 'the scenario itself is broken');
  const rests = [
    [theirs, 'theirs'],
    [ours, 'ours'],
  ].map(([logs, whose]) => {
    const listed = OURS === THEIRS ? [] : listedLines(name, whose);
    return without(logs.get(name).map(differences.withoutGeneral), listed, whose);
  });
  if (rests[0].join('\n') !== rests[1].join('\n')) assert.fail(compared(...rests));
}

function isGood(name, theirs, ours) {
  try {
    judge(name, theirs, ours);
    return true;
  } catch {
    return false;
  }
}

/** Time is real here: a few scenarios that a busy machine has spoilt are played again. */
const FEW = 10;

test('differential', async (t) => {
  const names = [...scenarios.keys()];
  const [theirs, ours] = await Promise.all([play(THEIRS, names), play(OURS, names)]);
  for (let again = 0; again < 2; again += 1) {
    const bad = names.filter((name) => !isGood(name, theirs, ours));
    if (bad.length === 0 || bad.length > FEW) break;
    for (const [logs, library] of [
      [theirs, THEIRS],
      [ours, OURS],
    ]) {
      for (const [name, lines] of await play(library, bad)) logs.set(name, lines);
    }
  }
  for (const name of names) await t.test(name, () => judge(name, theirs, ours));
});

test('every listed difference is of a scenario, and is explained in COMPATIBILITY.md', () => {
  const page = readFileSync(join(__dirname, '../../COMPATIBILITY.md'), 'utf8').replace(/\s+/g, ' ');
  for (const { title, scenarios: where } of [...differences.list, ...differences.general]) {
    assert.ok(page.includes(`**${title}`), `not explained: ${title}`);
    for (const name of Object.keys(where ?? {})) {
      assert.ok(scenarios.has(name) || scenarios.has(`${name} (server)`), `no scenario ${name}`);
    }
  }
});
