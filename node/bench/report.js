'use strict';
// The results as a table, and as the files of docs/benchmarks.
const { writeFileSync } = require('node:fs');
const { cpus, release, type } = require('node:os');
const { join } = require('node:path');

const THEIRS = ['ws', 'websocket'];

function median(numbers) {
  const sorted = [...numbers].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/** How many times less ours takes: the median of the ratios of each round. */
function times(turns, other) {
  if (!turns[other]) return '';
  const ratio = median(turns[other].map((value, round) => value / turns.towline[round]));
  return `${ratio.toFixed(ratio < 10 ? 2 : 1)} ×`;
}

function microseconds(value) {
  if (value < 1) return `${Math.round(value * 1000)} ns`;
  return `${value < 1000 ? value.toPrecision(3) : Math.round(value)} µs`;
}

function row(title, turns, libraries, unit) {
  const costs = libraries.map((library) => (turns[library] ? unit(median(turns[library])) : ''));
  const ratios = libraries.includes('towline')
    ? THEIRS.filter((other) => libraries.includes(other)).map((other) => times(turns, other))
    : [];
  return `| ${[title, ...costs, ...ratios].join(' | ')} |`;
}

/** Processor time per message, and memory of an idle connection, as Markdown. */
function table({ libraries, echoes, memory }) {
  const ratios = libraries.includes('towline') ? THEIRS.filter((other) => libraries.includes(other)) : [];
  const heads = ['echo', ...libraries, ...ratios.map((other) => `${other} : towline`)];
  const lines = [`| ${heads.join(' | ')} |`, `|${' --- |'.repeat(heads.length)}`];
  for (const { title, turns } of echoes) lines.push(row(title, turns, libraries, microseconds));
  if (Object.keys(memory).length) {
    const kibibytes = (value) => `${(value / 1024).toFixed(1)} KiB`;
    lines.push(row('memory of an idle connection, of 10,000', memory, libraries, kibibytes));
  }
  return lines.join('\n');
}

function version(name) {
  try {
    return require(`${name}/package.json`).version;
  } catch {
    return undefined;
  }
}

function machine() {
  return {
    date: new Date().toISOString().slice(0, 10),
    processor: cpus()[0].model,
    cores: cpus().length,
    system: `${type()} ${release()}`,
    node: process.version,
    versions: {
      towline: require('../package.json').version,
      ...Object.fromEntries(['websocket', 'ws', 'bufferutil'].map((name) => [name, version(name)])),
    },
  };
}

function page(results) {
  const { date, processor, cores, system, node, versions, rounds, seconds } = results;
  const names = Object.entries(versions)
    .map(([name, number]) => `${name} ${number}`)
    .join(', ');
  return `# The npm package compared with \`websocket\` and \`ws\`

The processor time of an echo server on Node per message, user and kernel, and the ratio of the others to
Towline. A ratio above 1 means that Towline takes less.

${table(results)}

## Method

Each server is one Node process on a core of its own. The generator of
[testing/bench](../../testing/bench/README.md), a hand-written client that uses none of the libraries, loads
it over loopback from another core. The servers take turns, ${rounds} rounds of ${seconds} s after a warm-up of half that.
Costs and ratios are medians; a ratio compares two turns of the same round. All servers send a message in one
frame, allow messages of 16 MiB, and compress only in the row that says so. \`websocket\` and Towline echo with
\`sendUTF\` and \`sendBytes\` in the \`message\` event, \`ws\` with \`send\`, with \`bufferutil\` installed. Text is
converted to a string in between, also with \`ws\`, which delivers it as a Buffer. Keepalive is at each
library's default, so it is on in Towline and in \`websocket\`. *Bare* is an echo by Node's own sockets, without
frames and unmasking. Memory is the growth of the process after each connection has echoed 1 KiB, divided by
the number of connections.

\`node node/bench/bench.js\` repeats the measurement.

## Where the time goes

One message at a time costs one read and one write of the kernel, and Node's code around them. *Bare* is an echo
by Node's stream; Towline writes to the kernel itself where a program can't tell, and so takes less for what Node
does around a write. Long binary messages are copied out of the kernel and into it: Towline reads all but the
first 64 KiB straight to their place, and sends them from there. \`ws\` assembles them from what Node has read,
which is a copy more, and passes its caller's memory to the kernel, which the caller must not change. Long texts
are V8 strings in between: half of their time is spent creating the string, in newly allocated pages, and
converting it back to UTF-8.

## Machine and versions

${date}: ${processor}, ${cores} cores, ${system}, Node ${node}; ${names}.
`;
}

function write(directory, results) {
  writeFileSync(join(directory, 'node.json'), `${JSON.stringify(results, null, 1)}\n`);
  writeFileSync(join(directory, 'node.md'), page(results));
  console.log(`written: ${join(directory, 'node.json')} and node.md`);
}

module.exports = { machine, table, write };
