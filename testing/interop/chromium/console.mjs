// The console page in a real browser: console.mjs --url http://HOST:PORT/ --chromium PATH --out DIR
//
// Run by chromium.py. Prints a line for each variant of the page, saves screenshots in DIR, and exits
// with 0 if everything was as expected, else 1.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { chromium } from 'playwright-core';

const LOOKS = [
  { name: 'light', colorScheme: 'light', viewport: { width: 1280, height: 900 } },
  { name: 'dark', colorScheme: 'dark', viewport: { width: 1280, height: 900 } },
  { name: 'short', colorScheme: 'light', viewport: { width: 1200, height: 800 } },
  { name: 'narrow-light', colorScheme: 'light', viewport: { width: 360, height: 740 } },
  { name: 'narrow-dark', colorScheme: 'dark', viewport: { width: 360, height: 740 } },
];
const TEXT = 'Ahoy, Ἑλλάς, 世界 🚢';
const FLAGS = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
  '--disable-background-networking', '--disable-component-update', '--disable-sync'];

// The certificate of the test's server is self-signed.
const SECURE = ['--ignore-certificate-errors'];

const { values: { url, out, chromium: executablePath } } = parseArgs({
  options: { url: { type: 'string' }, out: { type: 'string' }, chromium: { type: 'string' } },
});

/** Collects what must not happen on the page: errors, and requests to anyone but its server. */
function watch(page) {
  const faults = [];
  const own = new URL(url).host;
  const leaves = (address) => /^(https?|wss?):/.test(address) && new URL(address).host !== own;
  page.on('console', (message) => {
    if (['error', 'warning'].includes(message.type())) faults.push(`console: ${message.text()}`);
  });
  page.on('pageerror', (error) => faults.push(`exception: ${error.message}`));
  page.on('request', (r) => leaves(r.url()) && faults.push(`request to ${r.url()}`));
  page.on('requestfailed', (r) => faults.push(`${r.url()}: ${r.failure().errorText}`));
  page.on('response', (r) => r.status() >= 400 && faults.push(`${r.url()}: HTTP ${r.status()}`));
  page.on('websocket', (w) => leaves(w.url()) && faults.push(`WebSocket to ${w.url()}`));
  return faults;
}

const state = (page, wanted) => page.locator(`#state[data-state="${wanted}"]`).waitFor();

const row = (page, direction, text) =>
  page.locator(`#log .row[data-direction="${direction}"]`).filter({ hasText: text }).first();

const rows = (page, direction) => page.locator(`#log .row[data-direction="${direction}"]`).count();

/** Waits until an attribute of the selected element, or the number of elements, is that high. */
async function grows(page, what, selector, attribute, least) {
  await page.waitForFunction(
    ([selector, attribute, least]) => {
      const found = document.querySelectorAll(selector);
      return (attribute ? Number(found[0].getAttribute(attribute)) : found.length) >= least;
    },
    [selector, attribute, least],
  ).catch(() => assert.fail(`${what} did not reach ${least}`));
}

async function samples(page) {
  return Number(await page.locator('#plot').getAttribute('data-samples'));
}

/** 0 for a black page, 255 for a white one. */
function brightness(page) {
  return page.evaluate(() => {
    const colours = [document.body, document.documentElement]
      .map((element) => getComputedStyle(element).backgroundColor);
    const solid = colours.find((c) => !/^(transparent|rgba\(.*, 0\))$/.test(c)) ?? 'white';
    const context = document.createElement('canvas').getContext('2d');
    context.fillStyle = solid; // understands every notation of a colour
    context.fillRect(0, 0, 1, 1);
    const [red, green, blue] = context.getImageData(0, 0, 1, 1).data;
    return (red + green + blue) / 3;
  });
}

async function fits(page) {
  const [content, window] = await page.evaluate(
    () => [document.documentElement.scrollWidth, document.documentElement.clientWidth]);
  assert.ok(content <= window, `the page is ${content} px wide in a window of ${window} px`);
}

/** The colours may be on their way: a change of theme can be animated. */
async function rightColours(page, scheme) {
  const deadline = Date.now() + 5_000;
  for (;;) {
    const level = await brightness(page);
    if (scheme === 'dark' ? level < 100 : level > 155) return;
    assert.ok(Date.now() < deadline, `it should look ${scheme}, and its brightness is ${level}`);
  }
}

/** All of the element lies within the window, as it is scrolled now. */
async function isInSight(page, selector) {
  const [top, bottom, window] = await page.locator(selector).evaluate((element) => {
    const { top, bottom } = element.getBoundingClientRect();
    return [top, bottom, innerHeight];
  });
  assert.ok(top >= 0 && bottom <= window,
    `${selector} is at ${top} to ${bottom} px in a window of ${window} px`);
}

/** The last row of the log, and all of it, is in sight in the log; it may take some frames. */
async function endIsInSight(page, text) {
  const last = page.locator('#log .row').last();
  await last.filter({ hasText: text }).waitFor();
  const rects = () => last.evaluate((row) => {
    const [list, own] = [row.closest('#log'), row].map((element) => element.getBoundingClientRect());
    return { edge: list.bottom, bottom: own.bottom, top: own.top - list.top };
  });
  const deadline = Date.now() + 5_000;
  let still = 0;
  for (let seen = await rects(); ; seen = await rects()) {
    still = seen.bottom <= seen.edge && seen.top >= 0 ? still + 1 : 0;
    if (still === 5) return; // it has stopped moving
    assert.ok(Date.now() < deadline,
      `the last row ends at ${seen.bottom} px, and the log at ${seen.edge} px`);
    await page.waitForTimeout(20);
  }
}

/** A page beside a server of the test's own, which closes with a reason after some messages. */
async function isTold(page, { name, viewport }) {
  const shoot = (what) => page.screenshot({ path: `${out}/${name}-${what}.png` });
  const reason = 'the berth is needed for a ship that is on its way, and no other is free before the day after tomorrow';
  await page.routeWebSocket(/\/told\//, (socket) => {
    socket.onMessage((said) => {
      if (said === 'go') socket.close({ code: 1009, reason });
      else for (let number = 0; number < Number(said); number += 1) socket.send(`message ${number}`);
    });
  });
  await page.goto(url);
  // Before any attempt, the page does not say "closed".
  await state(page, 'idle');
  assert.equal(await page.locator('#state').textContent(), 'not connected');
  const isWide = viewport.width >= 900;
  for (const many of [3, 40, 600]) {
    await page.fill('#url', `${url.replace(/^http/, 'ws')}told/`);
    await page.click('#connect');
    await state(page, 'open');
    if (isWide) await isInSight(page, '#send');
    await page.fill('#message', String(many));
    await page.click('#send');
    await row(page, 'in', `message ${many - 1}`).waitFor();
    await endIsInSight(page, `message ${many - 1}`);
    assert.equal(await page.locator('#follow').getAttribute('aria-pressed'), 'true');
    await page.fill('#message', 'go');
    await page.click('#send');
    await state(page, 'closed');
    await endIsInSight(page, reason);
    assert.equal(await page.locator('#follow').getAttribute('aria-pressed'), 'true');
    if (isWide) await isInSight(page, '#send');
    await fits(page);
    await page.locator('#log').scrollIntoViewIfNeeded();
    await shoot(`told-after-${many}`);
    await page.click('#clear');
  }
  if (!isWide) return;

  // With an opened message, the log does not follow, and messages in sight are not counted as new.
  await page.click('#connect');
  await state(page, 'open');
  await page.fill('#message', '1');
  await page.click('#send');
  await row(page, 'in', 'message 0').locator('summary').click();
  await page.locator('#follow[aria-pressed="false"]').waitFor();
  await page.fill('#message', 'go');
  await page.click('#send');
  await state(page, 'closed');
  await endIsInSight(page, reason);
  assert.ok(await page.locator('#newest').isHidden(), 'rows in sight are said to be new');
  await shoot('told-while-reading');
}

async function visit(page, { name, colorScheme }) {
  const shoot = (what) => page.screenshot({ path: `${out}/${name}-${what}.png`, fullPage: true });
  await page.goto(url);
  await rightColours(page, colorScheme);
  await fits(page);

  if (await page.locator('#connect').isVisible()) await page.click('#connect');
  await state(page, 'open');
  const compressed = (await page.locator('#detail').textContent()).includes('permessage-deflate');

  const before = await samples(page);
  await page.fill('#message', TEXT);
  await page.click('#send');
  await row(page, 'out', TEXT).waitFor();
  await row(page, 'in', TEXT).waitFor();
  // A mark that reorders the text behind it is written out.
  await page.fill('#message', 'pay \u202e001 to');
  await page.click('#send');
  await row(page, 'in', 'pay \\u{202e}001 to').waitFor();
  await grows(page, 'the plot', '#plot', 'data-samples', before + 1);
  if (compressed) {
    await row(page, 'in', TEXT).locator('summary').click();
    await row(page, 'in', TEXT).locator('.ratio').filter({ hasText: / %$/ }).waitFor();
    await shoot('ratio');
  }
  await page.click('#ping');
  await grows(page, 'the plot after a ping', '#plot', 'data-samples', before + 2);

  const received = await rows(page, 'in');
  await page.setInputFiles('#file', {
    name: 'cargo.bin', mimeType: 'application/octet-stream', buffer: randomBytes(100_000),
  });
  await row(page, 'out', 'cargo.bin').waitFor();
  await grows(page, 'the received messages', '#log .row[data-direction="in"]', null, received + 1);
  await fits(page);
  await shoot('open');

  const other = colorScheme === 'dark' ? 'light' : 'dark';
  await page.click('#theme');
  await rightColours(page, other);
  await page.click('#theme');

  await page.fill('#close-code', '4001');
  await page.fill('#close-reason', 'done here');
  await page.click('#disconnect');
  await state(page, 'closed');
  await row(page, 'system', '4001').waitFor();
  await fits(page);
  await shoot('closed');
}

await mkdir(out, { recursive: true });
const browser = await chromium.launch({ executablePath, headless: true,
  args: url.startsWith('https:') ? [...FLAGS, ...SECURE] : FLAGS });
let failures = 0;
try {
  for (const look of LOOKS) {
    const context = await browser.newContext(look);
    context.setDefaultTimeout(10_000);
    for (const [what, use] of [['', visit], [' told', isTold]]) {
      const page = await context.newPage();
      const faults = watch(page);
      try {
        await use(page, look);
        assert.deepEqual(faults, []);
        console.log(`ok ${look.name}${what}`);
      } catch (error) {
        failures += 1;
        await page.screenshot({ path: `${out}/${look.name}${what}-failed.png` }).catch(() => {});
        console.log(`FAIL ${look.name}${what}: ${error.message}`);
        for (const fault of faults) console.log(`  ${fault}`);
      }
    }
    await context.close();
  }
} finally {
  await browser.close();
}
process.exit(failures ? 1 : 0);
