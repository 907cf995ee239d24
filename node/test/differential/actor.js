'use strict';
// Plays scenarios with one library, in a process of its own: actor.js LIBRARY [NAME...]. Sends a
// message as each begins, and one with the log as it ends.
const { readdirSync } = require('node:fs');
const { join } = require('node:path');
const { scenarios } = require('./registry.js');
const { Stage } = require('./stage.js');

const PATIENCE = 10_000;

for (const file of readdirSync(join(__dirname, 'scenarios')).sort()) {
  require(`./scenarios/${file}`);
}

async function play(lib, name) {
  const stage = new Stage(lib);
  const complain = (error) => stage.log('process')('uncaught', error);
  process.on('uncaughtException', complain);
  let timer;
  const late = new Promise((resolve) => {
    timer = setTimeout(() => resolve(stage.log('process')('not done in time')), PATIENCE);
  });
  try {
    await Promise.race([scenarios.get(name)(stage), late]);
  } catch (error) {
    stage.log('process')('failed', error);
  }
  clearTimeout(timer);
  const lines = stage.lines();
  await stage.end();
  await stage.settle(2);
  process.off('uncaughtException', complain);
  return lines;
}

/** By hand, without a parent process: prints the logs of the scenarios whose names have NAME. */
async function show(library, parts) {
  for (const name of scenarios.keys()) {
    if (parts.length && !parts.some((part) => name.includes(part))) continue;
    console.log(`${name}\n  ${(await play(require(library), name)).join('\n  ')}`);
  }
}

async function main([library, ...names]) {
  if (!process.send) {
    await show(library, names);
    process.exit(0);
  }
  const tell = (message) =>
    new Promise((resolve) => {
      process.send(message, resolve);
    });
  for (const name of names) {
    await tell({ began: name });
    await tell({ name, lines: await play(require(library), name) });
  }
  process.exit(0);
}

if (require.main === module) main(process.argv.slice(2));
