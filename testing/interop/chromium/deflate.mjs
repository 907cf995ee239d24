// A real browser's compression: deflate.mjs --chromium PATH --server ANSWER=ws://HOST:PORT/...
//
// For wss://, --spki HASH makes the browser trust a public key, whoever signed its certificate. Run by
// chromium.py, with a server for each set of parameters. ANSWER is the extension that the server must
// negotiate. Prints a line for each, and exits with 0 if every message came back unchanged.
import assert from 'node:assert/strict';
import { parseArgs } from 'node:util';
import { chromium } from 'playwright-core';

const { values: { server: servers, spki, chromium: executablePath } } = parseArgs({
  options: {
    server: { type: 'string', multiple: true },
    spki: { type: 'string' },
    chromium: { type: 'string' },
  },
});

/** In the page: sends messages of all lengths and awaits the echo of each; what was agreed on. */
async function converse(url) {
  const socket = new WebSocket(url);
  socket.binaryType = 'arraybuffer';
  const next = () => new Promise((resolve, reject) => {
    socket.onmessage = ({ data }) => resolve(data);
    socket.onclose = ({ code, reason }) => reject(new Error(`closed with ${code} ${reason}`));
  });
  await new Promise((resolve, reject) => {
    socket.onopen = resolve;
    socket.onerror = () => reject(new Error('no connection'));
  });
  for (const length of [0, 1, 100, 1000, 16384, 70_000, 1 << 20]) {
    const text = 'Ἑλλάς 世界 {"ship":"ahoy"} '.repeat(length / 20 + 1).slice(0, length);
    const noise = new Uint8Array(length);
    for (let at = 0; at < length; at += 65_536) crypto.getRandomValues(noise.subarray(at, at + 65_536));
    for (const message of [text, text, noise, text]) {
      socket.send(message);
      const echo = await next();
      const equal = typeof message === 'string' ? echo === message
        : new Uint8Array(echo).every((byte, at) => byte === message[at]) && echo.byteLength === length;
      if (!equal) throw new Error(`a message of ${length} came back as another`);
    }
  }
  const closed = new Promise((resolve) => { socket.onclose = resolve; });
  socket.close(4002, 'done ✓');
  const { code, wasClean } = await closed;
  if (code !== 4002 || !wasClean) throw new Error(`closed with ${code}, and not well`);
  return socket.extensions;
}

const browser = await chromium.launch({
  executablePath,
  headless: true,
  args: ['--no-sandbox', '--disable-gpu', '--no-first-run',
    ...(spki ? [`--ignore-certificate-errors-spki-list=${spki}`] : [])],
});
let failures = 0;
try {
  for (const server of servers) {
    const [, expected, url] = server.match(/^(.*)=(wss?:.*)$/);
    try {
      const page = await browser.newPage();
      assert.equal(await page.evaluate(converse, url), expected);
      console.log(`ok ${expected}${url.startsWith('wss:') ? ', wss' : ''}`);
      await page.close();
    } catch (error) {
      failures += 1;
      console.log(`FAIL ${expected}: ${error.message}`);
    }
  }
} finally {
  await browser.close();
}
process.exit(failures ? 1 : 0);
