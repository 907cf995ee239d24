'use strict';
// One turn of one server: started on a core of its own, loaded from another, ended.
const { execFile, spawn } = require('node:child_process');
const { join } = require('node:path');
const { createInterface } = require('node:readline');
const { promisify } = require('node:util');

const LOAD = join(__dirname, '../../testing/bench/target/release/towline-bench-load');
const SERVER_CORE = '0';
const LOAD_CORE = '1';

/** Starts the server, has `act` do what it does with its address, and ends it. */
async function serving(library, flags, act) {
  const server = spawn(
    'taskset',
    ['-c', SERVER_CORE, process.execPath, join(__dirname, 'server.js'), library, ...flags],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  try {
    const ended = new Promise((_, reject) => {
      server.once('exit', (code) => reject(new Error(`the server ${library} ended with ${code}`)));
    });
    const address = await Promise.race([
      ended,
      (async () => {
        for await (const line of createInterface({ input: server.stdout })) {
          if (line.startsWith('listening ')) return line.slice('listening '.length);
        }
        return ended;
      })(),
    ]);
    return await Promise.race([ended, act(address, String(server.pid))]);
  } finally {
    server.removeAllListeners('exit');
    const gone = new Promise((resolve) => {
      server.once('exit', resolve);
    });
    if (server.exitCode === null && server.kill('SIGKILL')) await gone;
  }
}

async function load(command, address, pid, options) {
  const words = Object.entries(options).flatMap(([name, value]) =>
    value === true ? [`--${name}`] : [`--${name}`, String(value)],
  );
  const { stdout } = await promisify(execFile)(
    'taskset',
    ['-c', LOAD_CORE, LOAD, command, '--address', address, '--pid', pid, ...words],
    { timeout: 180_000 },
  );
  return JSON.parse(stdout);
}

const raw = (library) => (library === 'bare' ? { raw: true } : {});

/** What the load generator reports of an echo. */
function echo(library, { size, connections, inFlight, kind = 'binary', compressed = false }, seconds) {
  return serving(library, compressed ? ['--deflate'] : [], (address, pid) =>
    load('echo', address, pid, {
      connections,
      size,
      kind,
      'in-flight': inFlight,
      'warm-up': seconds / 2,
      seconds,
      ...raw(library),
      ...(compressed ? { compress: true } : {}),
    }),
  );
}

/** And of connections that stand idle. */
function hold(library, { connections, size }) {
  return serving(library, [], (address, pid) =>
    load('hold', address, pid, { connections, size, ...raw(library) }),
  );
}

module.exports = { LOAD, echo, hold };
