'use strict';
// Processor time per message of an echo server on Node: this package against npm `websocket` and npm
// `ws` (with `bufferutil`), loaded by the generator of testing/bench.
//
//   node node/bench/bench.js                      all of it, some minutes; writes docs/benchmarks/node.*
//   node node/bench/bench.js --only 32B --rounds 1 --seconds 1
//
// Linux, two cores, taskset, and cargo to build the load generator.
const { execFileSync } = require('node:child_process');
const { join } = require('node:path');
const { parseArgs } = require('node:util');
const { ECHOES, IDLE, LIBRARIES } = require('./scenarios.js');
const { echo, hold } = require('./turn.js');
const { machine, table, write } = require('./report.js');

const ROOT = join(__dirname, '../..');
const { values } = parseArgs({
  options: {
    only: { type: 'string', default: '' },
    rounds: { type: 'string', default: '3' },
    seconds: { type: 'string', default: '2' },
    libraries: { type: 'string', default: LIBRARIES.join(',') },
  },
});
const libraries = values.libraries.split(',');
const rounds = Number(values.rounds);
const seconds = Number(values.seconds);
/** Only a run of everything is worth keeping. */
const whole = !values.only && libraries.length === LIBRARIES.length;

/** Microseconds of processor time, user and kernel, for a message. */
const cost = ({ server, messages }) => server.cpu_ns / 1e3 / messages;

/** The turns of each library in one scenario, by library: costs of a message. */
async function measure(scenario) {
  const takers = libraries.filter((library) => scenario.libraries?.includes(library) ?? true);
  const turns = Object.fromEntries(takers.map((library) => [library, []]));
  for (let round = 0; round < rounds; round += 1) {
    for (let n = 0; n < takers.length; n += 1) {
      const library = takers[(round + n) % takers.length];
      turns[library].push(cost(await echo(library, scenario, seconds)));
    }
  }
  return turns;
}

async function measureEchoes() {
  const results = [];
  for (const scenario of ECHOES.filter(({ name }) => name.startsWith(values.only))) {
    try {
      const turns = await measure(scenario);
      results.push({ ...scenario, turns });
      const shown = Object.entries(turns).map(
        ([library, costs]) => `${library} ${costs.map((value) => value.toFixed(2)).join(' ')}`,
      );
      console.log(`${scenario.name}: ${shown.join(', ')} µs`);
    } catch (error) {
      if (!scenario.compressed) throw error;
      console.log(`${scenario.name} is left out: ${error.message.trim().split('\n').at(-1)}`);
    }
  }
  return results;
}

/** Bytes of resident memory that a connection takes while it stands idle, by library. */
async function measureMemory() {
  if (!'idle'.startsWith(values.only)) return {};
  const results = Object.fromEntries(libraries.map((library) => [library, []]));
  for (let round = 0; round < rounds; round += 1) {
    for (const library of libraries) {
      const { before, after, connections } = await hold(library, IDLE);
      results[library].push((after - before) / connections);
    }
  }
  return results;
}

async function main() {
  execFileSync('cargo', ['build', '--quiet', '--release', '-p', 'towline-bench-load'], {
    cwd: join(ROOT, 'testing/bench'),
    stdio: 'inherit',
  });
  const echoes = await measureEchoes();
  const memory = await measureMemory();
  const results = { ...machine(), rounds, seconds, libraries, echoes, memory };
  console.log(table(results));
  if (whole) write(join(ROOT, 'docs/benchmarks'), results);
}

main().catch((error) => {
  console.error(`bench: ${error.message}`);
  process.exit(1);
});
