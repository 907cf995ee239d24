'use strict';
// Loaded into every process of the suite. A program of the suite that ends with more descriptors, or more
// listeners of `process`, than it began with fails. Descriptors are counted where there is /proc.
const fs = require('node:fs');
const http = require('node:http');
const https = require('node:https');
const { dirname, join, sep } = require('node:path');
const { isMainThread } = require('node:worker_threads');

const TESTS = dirname(__dirname) + sep;
/** Programs of others, which leave what they like. */
const DEPENDENTS = join(TESTS, 'dependents') + sep;
const DESCRIPTORS = '/proc/self/fd';

/** Descriptor → the file or socket that it is open for. */
function descriptors() {
  const open = new Map();
  if (!fs.existsSync(DESCRIPTORS)) return open;
  for (const descriptor of fs.readdirSync(DESCRIPTORS)) {
    try {
      open.set(descriptor, fs.readlinkSync(join(DESCRIPTORS, descriptor)));
    } catch {
      // The descriptor of the listing itself is closed.
    }
  }
  return open;
}

/** The line that called `process.on` or a method like it; undefined if it is in Node itself. */
function caller() {
  const lines = new Error().stack.split('\n');
  const last = lines.findLastIndex((line) => /at process\.|EventEmitter/.test(line));
  const line = lines[last + 1];
  return line === undefined || line.includes('node:') ? undefined : line.trim();
}

/** Listeners that are there once in every process. */
const isExpected = (line) => line.includes(join('lib', 'output.js')) || line.includes(__filename);

const before = descriptors();
const added = [];

function newDescriptors() {
  // They keep idle connections.
  http.globalAgent.destroy();
  https.globalAgent.destroy();
  // Node opens these for itself, the certificates on a thread.
  const ofNode = ['/dev/null', process.env.NODE_EXTRA_CA_CERTS];
  return [...descriptors()]
    .filter(([descriptor, what]) => before.get(descriptor) !== what && !ofNode.includes(what))
    .map(([descriptor, what]) => `descriptor ${descriptor}: ${what}`);
}

function newListeners() {
  const seen = new Set();
  return added
    .filter(({ event, listener }) => process.listeners(event).includes(listener))
    .filter(({ line }) => !isExpected(line) || seen.has(line) || !seen.add(line))
    .map(({ event, line }) => `listener of '${event}' ${line}`);
}

const [, program = ''] = process.argv;
if (isMainThread && program.startsWith(TESTS) && !program.startsWith(DEPENDENTS)) {
  process.on('newListener', (event, listener) => {
    const line = caller();
    if (line !== undefined) added.push({ event, line, listener });
  });
  process.on('exit', (code) => {
    if (code !== 0) return;
    const left = [...newDescriptors(), ...newListeners()];
    if (left.length === 0) return;
    console.error(`${program} leaves\n  ${left.join('\n  ')}`);
    process.exitCode = 71;
  });
}
