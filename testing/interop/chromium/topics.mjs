// The console of `towline serve --mode topics` in a real browser.
import assert from 'node:assert/strict';
import { run, url } from './pages.mjs';

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

async function topics(visit) {
  const { look } = visit;
  const [page, other] = [await visit.page(), await visit.page()];
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
  await visit.shoot(page, 'topics');

  // The server's word is shown, and the next success takes it away.
  await publish(page, 'é'.repeat(300), '1');
  await page.locator('#topics-error').filter({ hasText: 'has 600 bytes; the limit is 512' }).waitFor();
  await topic(page, price).click();
  assert.equal(await page.textContent('#subscribe'), 'Unsubscribe');
  await page.click('#subscribe');
  await page.locator('#topics-error').waitFor({ state: 'hidden' });
  await topic(page, price).waitFor({ state: 'detached' });

  await visit.fits(page);
  await page.click('#disconnect');
  await page.locator('#state[data-state="closed"]').waitFor();
  assert.ok(await page.locator('#publish').isDisabled());
}

await run({ topics });
