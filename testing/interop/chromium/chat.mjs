// The page of `towline serve --mode chat` in a real browser.
import assert from 'node:assert/strict';
import { isInSight, run, url } from './pages.mjs';

const said = (page, from, text) =>
  page.locator(`#said .said[data-from=${JSON.stringify(from)}]`).filter({ hasText: text }).first().waitFor();

const news = (page, text) => page.locator('#said .news').filter({ hasText: text }).first().waitFor();

async function enter(page, name, room) {
  await page.goto(url); // which leads to the chat
  await page.fill('#name', name);
  await page.fill('#room', room);
  await page.keyboard.press('Enter');
  await page.locator('#state[data-state="open"]').waitFor();
}

const error = async (page) => (await page.textContent('#chat-error')).replace(/^Not entered: |\.$/g, '');

/** What the page refuses before it connects has the server's words, and what it lets pass is accepted. */
async function refuses(page, room) {
  for (const name of ['a:b', '*eve', 'a\u202eb', 'a\u00adb', '\u200d', 'x'.repeat(33), '🚢'.repeat(33)]) {
    await page.goto(url);
    await page.fill('#name', name);
    await page.click('#enter');
    const why = await error(page);
    assert.ok(why.length > 10, `${JSON.stringify(name)} is not refused`);
    assert.equal(await page.evaluate(() => document.activeElement.id), 'name');
    await enter(page, 'eve', room);
    await say(page, `/name ${name}`);
    await page.locator('#chat-error').filter({ hasText: why }).waitFor();
  }
  for (const bad of ['x'.repeat(65), 'a\u202eb', 'a/../b']) {
    await page.goto(url);
    await page.fill('#room', bad);
    await page.click('#enter');
    assert.match(await error(page), /the name of a room has |no part of a room's name is /);
    assert.equal(await page.evaluate(() => document.activeElement.id), 'room');
  }
  for (const name of ['👩\u200d🚀', 'علی\u200cرضا', '🚢'.repeat(32)]) {
    await enter(page, name, room);
    await page.locator('#people .you').filter({ hasText: name }).waitFor();
  }
}

/** The field for a message is in sight, and no page of a wide screen has to be scrolled. */
async function isInPlace(page) {
  await isInSight(page, '#text');
  const [content, window, width] = await page.evaluate(
    () => [document.documentElement.scrollHeight, document.documentElement.clientHeight, innerWidth]);
  if (width >= 900) assert.ok(content <= window, `the page is ${content} px high in a window of ${window} px`);
}

async function say(page, text) {
  await page.fill('#text', text);
  await page.keyboard.press('Enter');
}

async function chat(visit) {
  const { look } = visit;
  // Each person has a browser, as their names are kept there.
  const [ada, bob] = [await visit.page(await visit.person()), await visit.page(await visit.person())];
  const room = `pier/${look.name} é<b>`;
  await ada.goto(url);
  assert.equal(await ada.evaluate(() => document.activeElement.id), 'name');
  await enter(ada, 'Ada <i>', room);
  await enter(bob, 'ada <I>', room);
  await news(ada, 'ada <I>-2 has joined.');
  assert.equal(await ada.textContent('#where'), room);
  assert.deepEqual(await ada.locator('#people li').allTextContents(), ['Ada <i>', 'ada <I>-2']);

  // What is said is text, whatever it looks like.
  await say(ada, 'Ahoy <img src=x onerror=alert(1)> Ἑλλάς 世界 🚢');
  await said(bob, 'Ada <i>', 'Ahoy <img src=x onerror=alert(1)> Ἑλλάς 世界 🚢');
  await said(ada, 'Ada <i>', 'Ahoy');
  assert.equal(await ada.locator('#said [data-mine="true"]').count(), 1);
  await say(bob, '/name Bob');
  await news(ada, 'ada <I>-2 is now Bob.');
  await say(bob, 'A longer text, which has to be on more than one line of a telephone: '.repeat(3));
  await said(ada, 'Bob', 'A longer text');
  await ada.locator('#rooms button').filter({ hasText: room }).filter({ hasText: '2' }).waitFor();

  await isInPlace(ada);
  await visit.shoot(ada, 'chat');
  await visit.fits(ada);

  // The last that was said is in sight, unless somebody reads further up.
  for (let number = 0; number < 40; number += 1) await say(bob, `message ${number}`);
  await said(ada, 'Bob', 'message 39');
  const below = (page) => page.evaluate(() => {
    const list = document.getElementById('said');
    return list.scrollHeight - list.scrollTop - list.clientHeight;
  });
  assert.ok(await below(ada) < 2, `${await below(ada)} px are below`);
  await ada.evaluate(() => { document.getElementById('said').scrollTop = 0; });
  await say(bob, 'one more');
  await said(ada, 'Bob', 'one more');
  assert.ok(await below(ada) > 100);

  // Another room, and back, where what was said is still known.
  await say(ada, 'x'.repeat(9000));
  await ada.locator('#chat-error').filter({ hasText: 'has 9000 bytes; the limit is 8192' }).waitFor();
  await bob.click('#leave');
  await news(ada, 'Bob has left.');
  await bob.locator('#enter-form').waitFor();
  assert.equal(await bob.inputValue('#name'), 'Bob');
  await bob.locator('#rooms button').filter({ hasText: room }).click();
  await said(bob, 'Ada <i>', 'Ahoy');
  await news(ada, 'Bob has joined.');
  await isInPlace(bob);

  const hidden = await visit.page(await visit.person());
  // As in a tab that is not in front.
  await hidden.addInitScript(() => Object.defineProperty(document, 'hidden', { get: () => true }));
  await enter(hidden, 'Cy', room);
  await hidden.locator('#people .you').filter({ hasText: 'Cy' }).waitFor();
  await hidden.locator('#rooms-empty').waitFor({ state: 'hidden' });
  await refuses(hidden, room);
}

await run({ chat });
