// The console page in a real browser.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { LOOKS, isInSight, run, socketBase, url } from './pages.mjs';

const SHORT = { name: 'short', colorScheme: 'light', viewport: { width: 1200, height: 800 } };
const TEXT = 'Ahoy, Ἑλλάς, 世界 🚢';

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

/** The colours may be on their way: a change of theme can be animated. */
async function rightColours(page, scheme) {
  const deadline = Date.now() + 5_000;
  for (;;) {
    const level = await brightness(page);
    if (scheme === 'dark' ? level < 100 : level > 155) return;
    assert.ok(Date.now() < deadline, `it should look ${scheme}, and its brightness is ${level}`);
  }
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
async function told(visit) {
  const page = await visit.page();
  const shoot = (what) => visit.shoot(page, what, {});
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
  const isWide = visit.look.viewport.width >= 900;
  for (const many of [3, 40, 600]) {
    await page.fill('#url', `${socketBase}told/`);
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
    await visit.fits(page);
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

async function use(visit) {
  const { colorScheme } = visit.look;
  const page = await visit.page();
  await page.goto(url);
  await rightColours(page, colorScheme);
  await visit.fits(page);

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
    await visit.shoot(page, 'ratio');
  }
  await page.click('#ping');
  await grows(page, 'the plot after a ping', '#plot', 'data-samples', before + 2);

  const received = await rows(page, 'in');
  await page.setInputFiles('#file', {
    name: 'cargo.bin', mimeType: 'application/octet-stream', buffer: randomBytes(100_000),
  });
  await row(page, 'out', 'cargo.bin').waitFor();
  await grows(page, 'the received messages', '#log .row[data-direction="in"]', null, received + 1);
  await visit.fits(page);
  // However far the page is scrolled, the messages stay above what comes below them.
  const [bottom, top] = await page.evaluate(() => {
    scrollTo(0, document.documentElement.scrollHeight);
    const [messages, reference] = ['messages', 'reference'].map((id) => document.getElementById(id).getBoundingClientRect());
    scrollTo(0, 0);
    return [messages.bottom, reference.top];
  });
  assert.ok(bottom <= top, `the messages end at ${bottom} px, and the close codes begin at ${top} px`);
  await visit.shoot(page, 'open');

  const other = colorScheme === 'dark' ? 'light' : 'dark';
  await page.click('#theme');
  await rightColours(page, other);
  await page.click('#theme');

  await page.fill('#close-code', '4001');
  await page.fill('#close-reason', 'done here');
  await page.click('#disconnect');
  await state(page, 'closed');
  await row(page, 'system', '4001').waitFor();
  await visit.fits(page);
  await visit.shoot(page, 'closed');
}

await run({ console: use, told }, [...LOOKS, SHORT]);
