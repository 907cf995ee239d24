#!/usr/bin/env node
// A peer for the interop suite, on a library from npm. The contract is in README.md.
//
//   peer.mjs ws|websocket serve --listen 127.0.0.1:PORT
//   peer.mjs ws|websocket client SCENARIO... --url ws://127.0.0.1:PORT
//   peer.mjs ws|websocket autobahn-client --url ws://127.0.0.1:PORT --agent NAME
//
// A server takes --tls-cert, --tls-key and --tls-client-ca, a client --ca, --cert and --key.
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { play, scenarios } from './scenarios.mjs';
import { serve } from './server.mjs';

async function client(library, names, url) {
  const unknown = names.filter((name) => !Object.hasOwn(scenarios, name));
  if (!names.length || unknown.length) usage(`unknown scenario: ${unknown.join(', ') || 'none'}`);
  let failures = 0;
  for (const name of names) {
    try {
      await play(name, library, url);
      console.log(`ok ${name}`);
    } catch (error) {
      failures += 1;
      console.log(`FAIL ${name}: ${error.message.replace(/\s+/g, ' ')}`);
    }
  }
  process.exit(failures ? 1 : 0);
}

async function autobahnClient(library, url, agent) {
  const visit = async (path, onMessage) => {
    const opened = (connection) => connection.each((text) => onMessage?.(text, connection));
    const connection = await library.connect(url + path, { opened });
    await connection.closed;
  };
  let count;
  await visit('/getCaseCount', (text) => (count = Number(text)));
  for (let n = 1; n <= count; n += 1) {
    await visit(`/runCase?case=${n}&agent=${agent}`, (message, peer) => peer.send(message));
  }
  await visit(`/updateReports?agent=${agent}`);
  await visit('/stopServer').catch(() => {}); // it may exit before it answers
}

function usage(why) {
  console.error(`peer: ${why}; see the head of peer.mjs`);
  process.exit(2);
}

/** What node:tls is to be told; nothing, if no file is given. */
function tlsOptions(values) {
  const read = (name) => values[name] && readFileSync(values[name]);
  const ca = read('ca') ?? read('tls-client-ca');
  const options = { ca, cert: read('cert') ?? read('tls-cert'), key: read('key') ?? read('tls-key') };
  if (values['tls-client-ca']) options.requestCert = true;
  return ca || options.cert ? options : undefined;
}

const FILES = ['tls-cert', 'tls-key', 'tls-client-ca', 'ca', 'cert', 'key'];
const TEXT = { type: 'string' };
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: Object.fromEntries(['listen', 'url', 'agent', ...FILES].map((name) => [name, TEXT])),
});
const [name, command, ...names] = positionals;
if (!['ws', 'websocket'].includes(name)) usage(`unknown library ${name}`);
const found = await import(`./library/${name}.mjs`);
const tls = tlsOptions(values);
const library = {
  ...found,
  connect: (url, options) => found.connect(url, { ...options, tls }),
  listen: (host, port, options) => found.listen(host, port, { ...options, tls }),
};
if (command === 'serve' && values.listen) await serve(library, values.listen);
else if (command === 'client' && values.url) await client(library, names, values.url);
else if (command === 'autobahn-client' && values.url) {
  await autobahnClient(library, values.url, values.agent ?? name);
} else usage('which command, and where?');
