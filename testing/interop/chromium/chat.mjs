// The page of `towline serve --mode chat` in a real browser.
import assert from 'node:assert/strict';
import { run, url } from './pages.mjs';

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

async function say(page, text) {
  await page.fill('#text', text);
  await page.keyboard.press('Enter');
}

async function chat(visit) {
  const { look } = visit;
  // Each person has a browser, as their names are kept there.
  const [ada, bob] = [await visit.page(await visit.person()), await visit.page(await visit.person())];
  const room = `pier/${look.name} é<b>`;
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
}

await run({ chat });
