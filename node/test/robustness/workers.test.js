'use strict';
// Several instances of the addon in one process: worker threads that come and go, also in the middle
// of things, and a second instance in the same thread.
const assert = require('node:assert/strict');
const { once } = require('node:events');
const { join } = require('node:path');
const { test } = require('node:test');
const { Worker } = require('node:worker_threads');

const start = (data) => new Worker(join(__dirname, 'worker.js'), { workerData: data });

test('workers have servers and clients of their own, at the same time', async () => {
  const workers = Array.from({ length: 4 }, (_, id) => start({ id, messages: 300 }));
  const exits = workers.map((worker) => once(worker, 'exit'));
  const results = await Promise.all(workers.map(async (worker) => (await once(worker, 'message'))[0]));
  assert.deepEqual(
    results.map(({ echoed }) => echoed),
    [300, 300, 300, 300],
  );
  await Promise.all(exits);
});

test('a worker can be ended in the middle of things', async () => {
  for (let round = 0; round < 5; round += 1) {
    const workers = [start({ id: 1, messages: Infinity }), start({ id: 2, messages: Infinity })];
    await Promise.all(workers.map((worker) => once(worker, 'message'))); // they are under way
    await Promise.all(workers.map((worker) => worker.terminate()));
  }
  const worker = start({ id: 3, messages: 10 });
  assert.equal((await once(worker, 'message'))[0].echoed, 10);
});

test('the package can be loaded twice in one thread', async () => {
  const path = require.resolve(process.env.TOWLINE_TEST_AS ?? '../../');
  const first = require(path);
  for (const loaded of Object.keys(require.cache)) {
    if (!loaded.includes('node_modules') || process.env.TOWLINE_TEST_AS) delete require.cache[loaded];
  }
  const second = require(path);
  assert.notEqual(first.server, second.server);
  const { exchange } = require('./exchange.js');
  assert.equal(await exchange(first.server, second.client, 20), 20);
  assert.equal(await exchange(second.server, first.client, 20), 20);
});
