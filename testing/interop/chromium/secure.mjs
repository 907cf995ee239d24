// A real browser at our HTTPS server: secure.mjs --chromium PATH --spki HASH --url https://HOST:PORT/
//
// Run by chromium.py. The browser trusts the certificate only by its public key. Prints the version of
// HTTP of the page and of its WebSocket: HTTP/2 with an extended CONNECT (RFC 8441), or HTTP/1.1 with an
// upgrade. Exits with 0 if everything is as expected.
import assert from 'node:assert/strict';
import { parseArgs } from 'node:util';
import { chromium } from 'playwright-core';

const { values: { url, spki, chromium: executablePath } } = parseArgs({
  options: { url: { type: 'string' }, spki: { type: 'string' }, chromium: { type: 'string' } },
});

/** In the page: a conversation with the server that the page is from. */
async function converse() {
  const address = new URL('/', location.href);
  address.protocol = 'wss:';
  const socket = new WebSocket(address);
  socket.binaryType = 'arraybuffer';
  const event = (name) => new Promise((resolve, reject) => {
    socket.addEventListener(name, resolve, { once: true });
    socket.addEventListener('error', () => reject(new Error('no connection')), { once: true });
  });
  await event('open');
  const echo = async (message) => {
    const reply = event('message');
    socket.send(message);
    return (await reply).data;
  };
  for (const length of [0, 1, 1000, 70_000, 1 << 20]) {
    const text = 'Ἑλλάς 世界 '.repeat(length / 9 + 1).slice(0, length);
    if (await echo(text) !== text) throw new Error(`a text of ${length} came back as another`);
    const bytes = Uint8Array.from({ length }, (_, at) => (at * 7) % 251);
    const back = new Uint8Array(await echo(bytes));
    if (back.length !== length || !back.every((byte, at) => byte === bytes[at])) {
      throw new Error(`${length} bytes came back as others`);
    }
  }
  const closed = event('close');
  socket.close(4002, 'done ✓');
  const { code, wasClean } = await closed;
  const [{ nextHopProtocol }] = performance.getEntriesByType('navigation');
  return { page: nextHopProtocol, extensions: socket.extensions, code, wasClean };
}

/** Visits with these flags; what was agreed on. */
async function visit(flags) {
  const args = ['--no-sandbox', '--disable-gpu', '--no-first-run',
    `--ignore-certificate-errors-spki-list=${spki}`, ...flags];
  const browser = await chromium.launch({ executablePath, headless: true, args });
  try {
    const page = await browser.newPage();
    const devtools = await page.context().newCDPSession(page);
    await devtools.send('Network.enable');
    const shaken = new Promise((resolve) => {
      devtools.once('Network.webSocketHandshakeResponseReceived', ({ response }) => resolve(response));
    });
    await page.goto(url);
    const agreed = await page.evaluate(converse);
    return { ...agreed, status: (await shaken).status };
  } finally {
    await browser.close();
  }
}

let failures = 0;
for (const [flags, expected] of [
  // An extended CONNECT is answered with 200, an upgrade with 101.
  [[], { page: 'h2', status: 200 }],
  [['--disable-http2'], { page: 'http/1.1', status: 101 }],
]) {
  const how = expected.status === 200 ? 'an extended CONNECT of HTTP/2' : 'an upgrade of HTTP/1.1';
  try {
    const { extensions, ...agreed } = await visit(flags);
    assert.deepEqual(agreed, { ...expected, code: 4002, wasClean: true });
    assert.match(extensions, /^permessage-deflate/);
    console.log(`ok wss by ${how}`);
  } catch (error) {
    failures += 1;
    console.log(`FAIL wss by ${how}: ${error.message}`);
  }
}
process.exit(failures ? 1 : 0);
