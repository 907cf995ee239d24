'use strict';
// Every scenario is played with npm `websocket` and with this package; what a program can observe
// must be the same, but for what differences.js lists.
//
//   node --test --test-name-pattern='close' …      some scenarios
//   TOWLINE_TEST_AS=websocket                      npm websocket in our place: scenarios that waver
const assert = require('node:assert/strict');
const { fork } = require('node:child_process');
const { existsSync, readFileSync } = require('node:fs');
const { join } = require('node:path');
const { test } = require('node:test');
require('./actor.js');
const { scenarios } = require('./registry.js');
const differences = require('./differences.js');

const THEIRS = 'websocket';
const OURS = process.env.TOWLINE_TEST_AS ?? join(__dirname, '../..');
const COMPATIBILITY = join(__dirname, '../../COMPATIBILITY.md');

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
    if (current && !logs.has(current)) logs.set(current, [`the process ended: ${signal ?? status}`]);
    const before = left.length;
    left.splice(0, left.length, ...left.filter((name) => !logs.has(name)));
    if (left.length === before) throw new Error(`${library}: no scenario can be played`);
  }
  return logs;
}

/** `lines` without those of a listed difference, each of which must be there. */
function without(lines, listed, whose) {
  const rest = [...lines];
  for (const line of listed) {
    const at = rest.indexOf(line);
    assert.ok(at >= 0, `${whose} no longer has the line of a listed difference:\n  ${line}\n` +
      `but\n  ${lines.join('\n  ')}`);
    rest.splice(at, 1);
  }
  return rest;
}

test('differential', async (t) => {
  const names = [...scenarios.keys()];
  const [theirs, ours] = await Promise.all([play(THEIRS, names), play(OURS, names)]);
  for (const name of names) {
    await t.test(name, () => {
      const listed = OURS === THEIRS ? undefined : differences.find((one) => name in one.scenarios);
      const { theirs: only, ours: instead } = listed?.scenarios[name] ?? { theirs: [], ours: [] };
      assert.ok(theirs.get(name).length, 'a scenario that observes nothing');
      const broken = theirs.get(name).filter((line) => /^process: (failed|not done)|^the process/.test(line));
      assert.deepEqual(broken, [], 'the scenario itself is broken');
      assert.deepEqual(without(ours.get(name), instead, 'ours'),
        without(theirs.get(name), only, 'theirs'));
    });
  }
});

test('every listed difference is of a scenario, and is explained in COMPATIBILITY.md', (t) => {
  for (const { title, reason, scenarios: where } of differences) {
    assert.ok(reason.length > 20, `${title}: why?`);
    for (const name of Object.keys(where)) assert.ok(scenarios.has(name), `no scenario ${name}`);
  }
  if (!existsSync(COMPATIBILITY)) return t.skip('no COMPATIBILITY.md');
  const page = readFileSync(COMPATIBILITY, 'utf8').replace(/\s+/g, ' ');
  for (const { title } of differences) assert.ok(page.includes(title), `not explained: ${title}`);
});
