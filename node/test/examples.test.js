'use strict';
// The programs of examples/, used as a person would in Chromium: with this package, and with npm
// `websocket` by changing the one line that names it.
//
//   TOWLINE_SCREENSHOTS=DIR node --test …/examples.test.js
const assert = require('node:assert/strict');
const { execFile, execFileSync, spawn } = require('node:child_process');
const { mkdirSync, readFileSync, rmSync, writeFileSync } = require('node:fs');
const { join } = require('node:path');
const { createInterface } = require('node:readline');
const { after, before, test } = require('node:test');
const { promisify } = require('node:util');

const EXAMPLES = join(__dirname, '../examples');
const LIBRARIES = ['towline', 'websocket'];
const BROWSERS = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable'];
const { TOWLINE_SCREENSHOTS: SCREENSHOTS } = process.env;

/** The path of a browser, or why there is none. */
function findBrowser() {
  for (const name of [process.env.CHROMIUM, ...BROWSERS].filter(Boolean)) {
    try {
      return { executablePath: execFileSync('which', [name], { encoding: 'utf8' }).trim() };
    } catch {
      /* the next one */
    }
  }
  return { missing: 'no Chromium is installed' };
}

function findDriver() {
  if (Number(process.versions.node.split('.')[0]) < 20) return undefined; // where it ends the process
  try {
    return require('playwright-core');
  } catch {
    return undefined;
  }
}

/** The directory of an example whose programs require that library; where they can find it. */
function copied(name, library) {
  if (library === 'towline') return join(EXAMPLES, name);
  const copy = join(__dirname, `.examples-${library}`, name);
  mkdirSync(copy, { recursive: true });
  for (const file of name === 'echo' ? ['server.js', 'client.js'] : ['server.js', 'index.html']) {
    const text = readFileSync(join(EXAMPLES, name, file), 'utf8');
    const changed = text.replace("require('towline')", `require('${library}')`);
    assert.equal(changed !== text, file.endsWith('.js'), `${file} names the package once`);
    writeFileSync(join(copy, file), changed);
  }
  return copy;
}

/** Starts a server on a free port; its address, and a way to end it. */
async function start(t, directory) {
  const server = spawn(process.execPath, [join(directory, 'server.js'), '0'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const gone = new Promise((resolve) => {
    server.once('exit', resolve);
  });
  t.after(async () => {
    assert.equal(server.exitCode, null, 'the server has ended');
    server.kill();
    await gone;
  });
  const lines = createInterface({ input: server.stdout });
  return new Promise((resolve, reject) => {
    lines.on('line', (line) => {
      const found = /listening on (127\.0\.0\.1:\d+)/.exec(line);
      if (found) resolve(found[1]);
    });
    gone.then((code) => reject(new Error(`the server ended with ${code}`)));
  });
}

const { executablePath, missing } = findBrowser();
const driver = findDriver();
const why = missing ?? (driver ? undefined : 'playwright-core is not installed, or not for this Node');
const skip = process.env.CI === 'true' ? false : (why ?? false);
let browser;
before(async () => {
  if (why) return;
  browser = await driver.chromium.launch({
    executablePath,
    args: ['--no-sandbox', '--disable-gpu', '--no-first-run', '--disable-background-networking'],
  });
});
after(async () => {
  await browser?.close();
  rmSync(join(__dirname, '.examples-websocket'), { recursive: true, force: true });
});

/** A page that must not complain. */
async function open(t, address) {
  const context = await browser.newContext({ viewport: { width: 1000, height: 700 } });
  context.setDefaultTimeout(10_000);
  const page = await context.newPage();
  const faults = [];
  page.on('pageerror', (error) => faults.push(error.message));
  page.on('console', (message) => message.type() === 'error' && faults.push(message.text()));
  t.after(async () => {
    assert.deepEqual(faults, []);
    await context.close();
  });
  await page.goto(`http://${address}/`);
  return page;
}

async function shoot(page, name) {
  if (!SCREENSHOTS) return;
  mkdirSync(SCREENSHOTS, { recursive: true });
  await page.screenshot({ path: join(SCREENSHOTS, `${name}.png`) });
}

for (const library of LIBRARIES) {
  test(`echo, with ${library}: the client program`, async (t) => {
    const directory = copied('echo', library);
    const address = await start(t, directory);
    const { stdout } = await promisify(execFile)(process.execPath, [
      join(directory, 'client.js'),
      `ws://${address}/`,
      '7',
    ]);
    assert.equal(stdout.match(/^Received: '\d+'$/gm).length, 7);
    assert.match(stdout, /Connection Closed: 1000/);
  });

  test(`echo, with ${library}: a browser`, { skip }, async (t) => {
    const address = await start(t, copied('echo', library));
    const page = await open(t, address);
    const seen = await page.evaluate(
      (url) =>
        new Promise((resolve, reject) => {
          const socket = new WebSocket(url, 'echo-protocol');
          const messages = [];
          socket.binaryType = 'arraybuffer';
          socket.onerror = () => reject(new Error('connection failed'));
          socket.onopen = () => {
            socket.send('Grüße, 世界 🚢');
            socket.send(new Uint8Array(60_000).fill(7));
            socket.send('');
          };
          socket.onmessage = ({ data }) => {
            messages.push(typeof data === 'string' ? data : data.byteLength);
            if (messages.length === 3) socket.close(4000, 'done');
          };
          socket.onclose = ({ code, wasClean }) =>
            resolve({ messages, code, wasClean, protocol: socket.protocol });
        }),
      `ws://${address}/`,
    );
    // npm `websocket` answers every close frame with 1000.
    const code = library === 'websocket' ? 1000 : 4000;
    assert.deepEqual(seen, {
      messages: ['Grüße, 世界 🚢', 60_000, ''],
      code,
      wasClean: true,
      protocol: 'echo-protocol',
    });
  });

  test(`chat, with ${library}: two people`, { skip }, async (t) => {
    const address = await start(t, copied('chat', library));
    const [ann, bob] = [await open(t, address), await open(t, address)];
    for (const [page, name] of [
      [ann, 'Ann'],
      [bob, 'Bob'],
    ]) {
      await page.locator('#input:enabled').fill(name);
      await page.keyboard.press('Enter');
      await page.locator('#status', { hasText: name }).waitFor();
    }
    await ann.locator('#names', { hasText: 'here: Ann, Bob' }).waitFor();
    for (const [page, text] of [
      [ann, 'Ahoy, Bob!'],
      [bob, 'Grüße, Ann 🚢'],
      [ann, '<b>no markup</b>'],
    ]) {
      await page.locator('#input').fill(text);
      await page.keyboard.press('Enter');
      for (const each of [ann, bob]) await each.locator('#log li', { hasText: text }).waitFor();
    }
    const late = await open(t, address);
    await late.locator('#input:enabled').fill('Carol');
    await late.keyboard.press('Enter');
    await late.locator('#log li').nth(2).waitFor();
    await shoot(late, `chat-${library}`);
    await bob.close();
    await ann.locator('#names', { hasText: 'here: Ann, Carol' }).waitFor();
  });

  test(`whiteboard, with ${library}: one draws, the other looks on`, { skip }, async (t) => {
    const address = await start(t, copied('whiteboard', library));
    const [painter, viewer] = [await open(t, address), await open(t, address)];
    await viewer.locator('#count', { hasText: '2 people' }).waitFor();
    const box = await painter.locator('canvas').boundingBox();
    await painter.mouse.move(box.x + 100, box.y + 200);
    await painter.mouse.down();
    for (let n = 1; n <= 40; n += 1) {
      await painter.mouse.move(box.x + 100 + n * 18, box.y + 200 + Math.sin(n / 4) * 120);
    }
    await painter.mouse.up();
    const ink = (page) =>
      page.evaluate(() => {
        const { data } = document.querySelector('canvas').getContext('2d').getImageData(0, 0, 960, 540);
        let count = 0;
        for (let at = 3; at < data.length; at += 4) count += data[at] > 0;
        return count;
      });
    const drawn = (page) =>
      page.waitForFunction(() => {
        const { data } = document.querySelector('canvas').getContext('2d').getImageData(700, 0, 260, 540);
        return data.some((value) => value > 0);
      });
    await Promise.all([drawn(painter), drawn(viewer)]);
    assert.equal(await ink(viewer), await ink(painter));
    const late = await open(t, address);
    await drawn(late);
    assert.equal(await ink(late), await ink(painter));
    await shoot(late, `whiteboard-${library}`);
    await painter.locator('#clear').click();
    await viewer.waitForFunction(
      () =>
        !document
          .querySelector('canvas')
          .getContext('2d')
          .getImageData(0, 0, 960, 540)
          .data.some((value) => value > 0),
    );
  });
}
