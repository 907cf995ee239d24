// What the tests of the pages have in common: their options, the browser, the looks of a page, and what must
// not happen on it.
//
// Each is run by chromium.py as TEST.mjs --url URL --chromium PATH --out DIR. The URL is the one that the
// server has printed, with the token of its console. A test prints a line for each look of the page, saves
// screenshots in DIR, and exits with 0 if everything was as expected, else 1.
import assert from 'node:assert/strict';
import { mkdir } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { chromium } from 'playwright-core';

export const LOOKS = [
  { name: 'light', colorScheme: 'light', viewport: { width: 1280, height: 900 } },
  { name: 'dark', colorScheme: 'dark', viewport: { width: 1200, height: 800 } },
  { name: 'narrow-light', colorScheme: 'light', viewport: { width: 360, height: 740 } },
  { name: 'narrow-dark', colorScheme: 'dark', viewport: { width: 360, height: 740 } },
];

const FLAGS = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
  '--disable-background-networking', '--disable-component-update', '--disable-sync'];

// The certificate of the test's server is self-signed.
const SECURE = ['--ignore-certificate-errors'];

const { values: { url: printed, out, chromium: executablePath } } = parseArgs({
  options: { url: { type: 'string' }, out: { type: 'string' }, chromium: { type: 'string' } },
});

/** The address that the server has printed. */
export const url = printed;

/** The same without the token. */
export const base = url.replace(/#.*/, '');

/** The same for WebSockets. */
export const socketBase = base.replace(/^http/, 'ws');

/** The pages of a test, with one look. */
class Visit {
  faults = [];
  #browser;
  #contexts = [];

  constructor(browser, look) {
    this.#browser = browser;
    this.look = look;
  }

  /** The browser of another person, where nothing is stored. */
  async person() {
    const context = await this.#browser.newContext(this.look);
    context.setDefaultTimeout(20_000);
    this.#contexts.push(context);
    return context;
  }

  /** A new page: of this person, or else of the first. */
  async page(person) {
    const page = await (person ?? this.#contexts[0] ?? await this.person()).newPage();
    watch(page, this.faults);
    return page;
  }

  shoot(page, what, options = { fullPage: true }) {
    return page.screenshot({ path: `${out}/${what}-${this.look.name}.png`, ...options });
  }

  /** The page is no wider than its window. */
  async fits(page) {
    const [content, window] = await page.evaluate(
      () => [document.documentElement.scrollWidth, document.documentElement.clientWidth]);
    assert.ok(content <= window, `the page is ${content} px wide in a window of ${window} px`);
  }

  async shootAll(what) {
    const pages = this.#contexts.flatMap((context) => context.pages());
    for (const [index, page] of pages.entries()) {
      await this.shoot(page, `${what}-failed-${index}`, {}).catch(() => {});
    }
  }

  async end() {
    for (const context of this.#contexts) await context.close();
  }
}

/** Collects what must not happen on a page: errors, and requests to anyone but its server. */
function watch(page, faults) {
  const own = new URL(url).host;
  const leaves = (address) => /^(https?|wss?):/.test(address) && new URL(address).host !== own;
  page.on('console', (message) => {
    if (['error', 'warning'].includes(message.type())) faults.push(`console: ${message.text()}`);
  });
  page.on('pageerror', (error) => faults.push(`exception: ${error.message}`));
  page.on('request', (r) => leaves(r.url()) && faults.push(`request to ${r.url()}`));
  page.on('requestfailed', (r) => {
    // Leaving a page aborts what it asks for.
    const { errorText } = r.failure();
    if (errorText !== 'net::ERR_ABORTED') faults.push(`${r.url()}: ${errorText}`);
  });
  page.on('response', (r) => r.status() >= 400 && faults.push(`${r.url()}: HTTP ${r.status()}`));
  page.on('websocket', (w) => leaves(w.url()) && faults.push(`WebSocket to ${w.url()}`));
  // The token is for the page, and for its own requests in a header.
  const token = new URLSearchParams(new URL(url).hash.slice(1)).get('token');
  page.on('request', (r) => {
    if (!token) return;
    const isOwn = new URL(r.url()).host === own;
    const told = Object.entries(r.headers()).filter(([name]) => !(isOwn && name === 'x-towline-console'));
    const address = r.url().replace(/#.*/s, '');
    const sent = [address, ...told.map(([, value]) => value)];
    if (sent.some((text) => text.includes(token))) faults.push(`the token is sent to ${address}`);
  });
}

/** All of the element lies within the window, as it is scrolled now. */
export async function isInSight(page, selector) {
  const [top, bottom, window] = await page.locator(selector).evaluate((element) => {
    const { top, bottom } = element.getBoundingClientRect();
    return [top, bottom, innerHeight];
  });
  assert.ok(top >= 0 && bottom <= window,
    `${selector} is at ${top} to ${bottom} px in a window of ${window} px`);
}

/** Runs each test, `{ name: async (visit) => … }`, with each look, and ends the process. */
export async function run(tests, looks = LOOKS) {
  await mkdir(out, { recursive: true });
  const args = url.startsWith('https:') ? [...FLAGS, ...SECURE] : FLAGS;
  const browser = await chromium.launch({ executablePath, headless: true, args });
  let failures = 0;
  try {
    for (const look of looks) {
      for (const [name, use] of Object.entries(tests)) {
        const visit = new Visit(browser, look);
        try {
          await use(visit);
          assert.deepEqual(visit.faults, []);
          console.log(`ok ${name}, ${look.name}`);
        } catch (error) {
          failures += 1;
          console.log(`FAIL ${name}, ${look.name}: ${error.stack}`);
          for (const fault of visit.faults) console.log(`  ${fault}`);
          await visit.shootAll(name);
        }
        await visit.end();
      }
    }
  } finally {
    await browser.close();
  }
  process.exit(failures ? 1 : 0);
}
