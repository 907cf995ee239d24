// The console of `towline serve --mode topics` in a real browser: topics.mjs --url http://HOST:PORT/
// --chromium PATH --out DIR
//
// Run by chromium.py. Prints a line for each look of the page, saves screenshots in DIR, and exits with 0
// if everything was as expected, else 1.
import assert from 'node:assert/strict';
import { mkdir } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { chromium } from 'playwright-core';

const LOOKS = [
  { name: 'light', colorScheme: 'light', viewport: { width: 1280, height: 900 } },
  { name: 'dark', colorScheme: 'dark', viewport: { width: 1200, height: 800 } },
  { name: 'narrow-light', colorScheme: 'light', viewport: { width: 360, height: 740 } },
  { name: 'narrow-dark', colorScheme: 'dark', viewport: { width: 360, height: 740 } },
];
const FLAGS = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
  '--disable-background-networking', '--disable-component-update', '--disable-sync'];

const { values: { url, out, chromium: executablePath } } = parseArgs({
  options: { url: { type: 'string' }, out: { type: 'string' }, chromium: { type: 'string' } },
});

const topic = (page, name) => page.locator(`#topic-rows tr[data-name=${JSON.stringify(name)}]`);

const received = (page, text) =>
  page.locator('#log .row[data-direction="in"]').filter({ hasText: text }).first().waitFor();

async function connect(page) {
  await page.goto(url);
  await page.locator('#topics').waitFor();
  assert.ok(await page.locator('#round-trips').isHidden(), 'a server with topics does not echo');
  // It offers the subprotocol by itself.
  await page.click('#connect');
  await page.locator('#state[data-state="open"]').waitFor();
  assert.match(await page.textContent('#detail'), /^towline\.topics\.v1/);
}

async function subscribe(page, name) {
  await page.fill('#topic', name);
  await page.click('#subscribe');
  await topic(page, name).and(page.locator('[data-subscribed="true"]')).waitFor();
}

async function publish(page, name, data) {
  await page.fill('#topic', name);
  await page.fill('#data', data);
  await page.click('#publish');
}

async function use(browser, look) {
  const context = await browser.newContext(look);
  const [page, other] = [await context.newPage(), await context.newPage()];
  const faults = [];
  for (const one of [page, other]) {
    one.setDefaultTimeout(20_000);
    one.on('console', (message) => message.type() === 'error' && faults.push(message.text()));
    one.on('pageerror', (error) => faults.push(error.message));
  }
  await connect(page);
  await connect(other);
  const [room, price] = [`room/${look.name}`, 'price/<b>&"rope"'];
  await subscribe(page, room);
  await subscribe(page, price);
  await subscribe(other, room);
  await topic(page, room).locator('td:nth-child(2)').filter({ hasText: /^2$/ }).waitFor();

  // What is JSON stays as it was typed, and the rest is a string.
  await publish(other, room, '{"n": 1.50}');
  await received(page, `{"topic":"${room}","data":{"n": 1.50}}`);
  await publish(page, room, 'ship "ahoy"');
  await received(other, `{"topic":"${room}","data":"ship \\"ahoy\\""}`);
  await page.locator('#topic-totals').filter({ hasText: /· .*[1-9]/ }).waitFor();
  await page.screenshot({ path: `${out}/topics-${look.name}.png`, fullPage: true });

  // The server's word is shown, and the next success takes it away.
  await publish(page, 'é'.repeat(300), '1');
  await page.locator('#topics-error').filter({ hasText: 'has 600 bytes; the limit is 512' }).waitFor();
  await topic(page, price).click();
  assert.equal(await page.textContent('#subscribe'), 'Unsubscribe');
  await page.click('#subscribe');
  await page.locator('#topics-error').waitFor({ state: 'hidden' });
  await topic(page, price).waitFor({ state: 'detached' });

  const width = await page.evaluate(() => document.documentElement.scrollWidth);
  assert.ok(width <= look.viewport.width, `the page is ${width} px wide`);
  await page.click('#disconnect');
  await page.locator('#state[data-state="closed"]').waitFor();
  assert.ok(await page.locator('#publish').isDisabled());
  assert.deepEqual(faults, []);
  await context.close();
}

await mkdir(out, { recursive: true });
const browser = await chromium.launch({ executablePath, args: FLAGS });
let failed = false;
for (const look of LOOKS) {
  try {
    await use(browser, look);
    console.log(`topics, ${look.name}: ok`);
  } catch (error) {
    failed = true;
    console.log(`topics, ${look.name}: ${error.stack}`);
  }
}
await browser.close();
process.exit(failed ? 1 : 0);
