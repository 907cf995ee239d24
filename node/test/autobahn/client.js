'use strict';
// A client for the Autobahn testsuite, run from the root of the repository:
//
//   python3 testing/interop/autobahn/autobahn.py client -- \
//     node node/test/autobahn/client.js --url {url}
//
// With --deflate it asks for permessage-deflate.
const { parseArgs } = require('node:util');

const { values } = parseArgs({
  options: {
    url: { type: 'string' },
    agent: { type: 'string', default: 'towline-node' },
    deflate: { type: 'boolean', default: false },
    library: { type: 'string', default: '../../' },
  },
});
const { client: WebSocketClient } = require(values.library);
const LARGEST = 64 * 1024 * 1024;

/** Connects, and stays until the suite has closed; `onMessage` gets what it sends. */
function visit(path, onMessage = () => {}) {
  return new Promise((resolve, reject) => {
    const client = new WebSocketClient({
      maxReceivedFrameSize: LARGEST,
      maxReceivedMessageSize: LARGEST,
      maxReceivedFragments: 131_072,
      fragmentOutgoingMessages: false,
      // The suite answers with 15 bits, whatever was offered.
      perMessageDeflate: values.deflate && { threshold: 0, clientMaxWindowBits: 15 },
    });
    client.on('connectFailed', reject);
    client.on('connect', (connection) => {
      connection.on('error', () => {});
      connection.on('close', resolve);
      connection.on('message', (message) => onMessage(message, connection));
    });
    client.connect(values.url + path);
  });
}

async function main() {
  let count = 0;
  await visit('/getCaseCount', ({ utf8Data }) => {
    count = Number(utf8Data);
  });
  for (let number = 1; number <= count; number += 1) {
    await visit(`/runCase?case=${number}&agent=${values.agent}`, (message, connection) => {
      if (message.type === 'utf8') connection.sendUTF(message.utf8Data);
      else connection.sendBytes(message.binaryData);
    });
  }
  await visit(`/updateReports?agent=${values.agent}`);
  await visit('/stopServer').catch(() => {}); // it may be gone before it has answered
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
