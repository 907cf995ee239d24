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
    ? THEIRS.filter((other) => libraries.includes(other)).map((other) => times(turns, other)) : [];
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
  const names = Object.entries(versions).map(([name, number]) => `${name} ${number}`).join(', ');
  return `# The npm package beside \`websocket\` and \`ws\`

Processor time of an echo server on Node for one message, user and kernel; and how many times as much
the others take. More than 1 means that Towline takes less.

${table(results)}

## Method

Each server is one Node process on a core of its own, loaded over loopback from another core by the
generator of [testing/bench](../../testing/bench/README.md), a client by hand that belongs to none of
the libraries. The servers take turns, ${rounds} rounds of ${seconds} s after a warm-up of half that;
costs and ratios are medians, a ratio being that of two turns of the same round. All of them send a
message in one frame, take messages of 16 MiB, compress only where it says so, and send back what
they got: \`websocket\` and Towline with \`sendUTF\` and \`sendBytes\` in the \`message\` event, \`ws\`
with \`send\`, and with \`bufferutil\` installed. Text is a string in between, also with \`ws\`, which
hands it out as a Buffer. Keepalive is as each has it by default, so on in Towline and in
\`websocket\`. *Bare* is what Node's own sockets take to send the bytes back as they come: no frames,
nothing unmasked. Memory is what the process has grown by once each of the connections has echoed
1 KiB, divided by their number.

\`node node/bench/bench.js\` repeats it.

## Where the time goes

One message at a time is a read and a write of the kernel's, and Node's way to them: *bare* is most
of it, and no library on Node's sockets can take less. Long binary messages are copied: out of the
kernel, once or twice while they are put together, once to be sent, into the kernel; \`ws\` hands its
caller's memory to the kernel and saves one of these, for which the caller must leave it alone. Long
texts are strings of V8's in between: half of their time is making the string, in pages that are new
each time, and turning it back into UTF-8.

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
