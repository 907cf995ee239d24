// The server's page of the console in a real browser: server.mjs --url http://HOST:PORT/ --chromium PATH
// --out DIR
//
// Run by chromium.py. Prints a line for each look of the page, saves screenshots in DIR, and exits with 0
// if everything was as expected, else 1.
import assert from 'node:assert/strict';
import { mkdir } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { chromium } from 'playwright-core';

const LOOKS = [
  { name: 'light', colorScheme: 'light', viewport: { width: 1280, height: 900 } },
  { name: 'dark', colorScheme: 'dark', viewport: { width: 1280, height: 900 } },
  { name: 'narrow-light', colorScheme: 'light', viewport: { width: 360, height: 740 } },
  { name: 'narrow-dark', colorScheme: 'dark', viewport: { width: 360, height: 740 } },
];
const FLAGS = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
  '--disable-background-networking', '--disable-component-update', '--disable-sync'];

const { values: { url, out, chromium: executablePath } } = parseArgs({
  options: { url: { type: 'string' }, out: { type: 'string' }, chromium: { type: 'string' } },
});

/** Opens connections in a page, of which each sends again and again. */
function traffic(page, paths) {
  return page.evaluate(([base, paths]) => {
    globalThis.sockets = paths.map((path, index) => {
      const socket = new WebSocket(base + path, index % 2 ? ['chat.v1'] : []);
      socket.onopen = () => setInterval(() => {
        if (socket.readyState === WebSocket.OPEN) socket.send('x'.repeat(100 * (index + 1)));
      }, 50 * (index + 1));
      return socket;
    });
  }, [url.replace(/^http/, 'ws'), paths]);
}

const row = (page, path) => page.locator('#rows tr').filter({ hasText: path });

async function use(browser, look) {
  const context = await browser.newContext(look);
  const [page, other] = [await context.newPage(), await context.newPage()];
  const faults = [];
  for (const one of [page, other]) {
    one.setDefaultTimeout(20_000);
    one.on('console', (message) => message.type() === 'error' && faults.push(message.text()));
    one.on('pageerror', (error) => faults.push(error.message));
  }
  await other.goto(url);
  const paths = [1, 2, 3, 4].map((number) => `${look.name}/<b>${number}`);
  const shown = (number) => `${look.name}/%3Cb%3E${number}`;
  await traffic(other, paths);

  await page.bringToFront();
  await page.goto(url);
  await page.click('#nav a[href="console/server"]');
  for (const number of [1, 2, 3, 4]) await row(page, shown(number)).waitFor();
  assert.ok(Number(await page.textContent('[data-figure="connections"]')) >= 4);
  await page.waitForFunction(() => Number(document.getElementById('messages-plot').dataset.samples) >= 3);
  await page.locator('[data-figure="in"]').filter({ hasText: /^[1-9][0-9.,]*\/s$/ }).waitFor();

  // Sorted by the head of a column, by mouse and by keyboard; narrow screens have a list.
  const isWide = look.viewport.width > 760;
  if (isWide) {
    await page.click('th[data-sort="messages_in"] button');
    await page.locator('th[data-sort="messages_in"][aria-sort="descending"]').waitFor();
    await page.keyboard.press('Enter');
    await page.locator('th[data-sort="messages_in"][aria-sort="ascending"]').waitFor();
    await page.click('th[data-sort="path"] button');
  } else {
    await page.selectOption('#sort', 'path');
  }
  await page.waitForFunction((own) => {
    const paths = [...document.querySelectorAll('#rows td.path')].map((cell) => cell.textContent);
    const shown = paths.filter((path) => path.startsWith(own));
    return shown.length === 4 && shown.every((path, index) => index === 0 || shown[index - 1] < path);
  }, `/${look.name}/`);

  await row(page, shown(2)).locator('.close').click();
  await row(page, shown(2)).waitFor({ state: 'detached' });
  await page.locator('#ends li').filter({ hasText: shown(2) }).filter({ hasText: 'closed in the console' }).waitFor();
  await page.locator('#server-codes [data-code="1000"]').waitFor();
  const event = await other.evaluate(() => [sockets[1].readyState, sockets[0].readyState]);
  assert.deepEqual(event, [3, 1]);
  await other.evaluate(() => sockets[2].close(4001, 'bye'));
  await page.locator('#ends li[data-code="4001"]').filter({ hasText: shown(3) }).waitFor();

  await page.click('#pause');
  const samples = await page.getAttribute('#messages-plot', 'data-samples');
  await other.evaluate(() => sockets[3].close());
  await page.waitForTimeout(1500);
  assert.equal(await page.getAttribute('#messages-plot', 'data-samples'), samples);
  assert.equal(await row(page, shown(4)).count(), 1);
  await page.click('#pause');
  await row(page, shown(4)).waitFor({ state: 'detached' });

  const width = await page.evaluate(() => document.documentElement.scrollWidth);
  assert.ok(width <= look.viewport.width, `the page is ${width} px wide`);
  await page.screenshot({ path: `${out}/server-${look.name}.png`, fullPage: true });
  assert.deepEqual(faults, []);
  await page.click('#nav a:has-text("Client")');
  await page.locator('#state[data-state="idle"]').waitFor();
  await context.close();
}

await mkdir(out, { recursive: true });
const browser = await chromium.launch({ executablePath, args: FLAGS });
let failed = false;
for (const look of LOOKS) {
  try {
    await use(browser, look);
    console.log(`server, ${look.name}: ok`);
  } catch (error) {
    failed = true;
    console.log(`server, ${look.name}: ${error.stack}`);
  }
}
await browser.close();
process.exit(failed ? 1 : 0);
