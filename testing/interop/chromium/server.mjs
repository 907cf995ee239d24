// The server's page of the console in a real browser.
import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { base, run, socketBase, url } from './pages.mjs';

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
  }, [socketBase, paths]);
}

/** Says something to the server which is no valid request. */
async function fail(said) {
  const { hostname, port } = new URL(base);
  const socket = connect(port, hostname, () => socket.end(said));
  // The server may reset the connection once it has answered.
  socket.on('error', () => {}).resume();
  await new Promise((resolve) => socket.on('close', resolve));
}

const row = (page, path) => page.locator('#rows tr').filter({ hasText: path });

async function server(visit) {
  const { look } = visit;
  const [page, other] = [await visit.page(), await visit.page()];
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
    // Heads of numbers end where the numbers do.
    const ends = await page.evaluate(() => [...document.querySelectorAll('#connections th.number')].map((head) => {
      const cell = document.querySelector(`#rows tr td:nth-child(${head.cellIndex + 1})`);
      return [head.firstChild.firstChild, cell.firstChild].map((text) => {
        const range = document.createRange();
        range.selectNodeContents(text);
        return range.getBoundingClientRect().right;
      });
    }));
    assert.ok(ends.length > 0 && ends.every(([head, cell]) => Math.abs(head - cell) < 1), `${ends}`);
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
  for (const said of ['hello there\r\n\r\n', '\x16\x03\x01\x02\0\x01', 'GET / HTTP/1.1\r\nHo']) await fail(said);
  for (const [code, words] of [['NOT_HTTP', 'no HTTP'], ['IS_TLS', 'TLS, where'], ['CONNECTION_LOST', 'cut off']]) {
    await page.locator(`#server-failures [data-code="ERR_${code}"]`).filter({ hasText: words }).waitFor();
  }
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

  await visit.fits(page);
  await visit.shoot(page, 'server');
  await page.click('#nav a:has-text("Client")');
  await page.locator('#state[data-state="idle"]').waitFor();
}

/** A browser without the token sees nothing until it is given it. */
async function token(visit) {
  // Refusals are in the log of a page. This one is not watched.
  const stranger = await (await visit.person()).newPage();
  await stranger.goto(`${base}console/server`);
  await stranger.locator('#refusal').filter({ hasText: 'have the token' }).waitFor();
  assert.equal(await stranger.textContent('[data-figure="connections"]'), '–');
  await visit.fits(stranger);
  await visit.shoot(stranger, 'server-token');
  await stranger.fill('#token', 'hush');
  await stranger.keyboard.press('Enter');
  await stranger.locator('#token-error').waitFor();
  // Another one is refused by the server.
  await stranger.fill('#token', 'x'.repeat(32));
  await stranger.keyboard.press('Enter');
  await stranger.locator('#token-error').waitFor({ state: 'hidden' });
  await stranger.locator('#token-form').waitFor();
  await stranger.fill('#token', url);
  await stranger.keyboard.press('Enter');
  await stranger.locator('[data-figure="connections"]').filter({ hasText: /^[0-9]/ }).waitFor();
  assert.ok(await stranger.locator('#token-form').isHidden());

  // The address that is printed is enough, and the token does not stay in it. Other pages have it, too.
  const person = await visit.person();
  const page = await visit.page(person);
  await page.goto(url);
  await page.locator('#nav').waitFor();
  await page.waitForURL(base);
  const second = await visit.page(person);
  await second.goto(`${base}console/server`);
  await second.locator('[data-figure="connections"]').filter({ hasText: /^[0-9]/ }).waitFor();

  // Any page can link to the console with another token. It does not take the place of the one that is kept. The
  // refusal is in the log, which is not watched.
  const linked = await person.newPage();
  const asked = linked.waitForResponse((response) => response.status() === 401);
  await linked.goto(`${base}console/server#token=${'a'.repeat(32)}`);
  await asked;
  // It does not stay in the address, nor in the history.
  await linked.waitForURL(`${base}console/server`);
  await linked.locator('#token-refused').filter({ hasText: 'towline serve prints' }).waitFor();
  await visit.fits(linked);
  await linked.goBack();
  await linked.goForward();
  await linked.waitForURL(`${base}console/server`);
  // Neither does a part of one.
  await linked.goto(`${base}console#token=abc`);
  await linked.waitForURL(`${base}console`);
  await linked.locator('#token-refused').filter({ hasText: 'is no token' }).waitFor();
  await linked.goto(`${base}console/server`);
  for (const each of [linked, await visit.page(person)]) {
    if (each !== linked) await each.goto(`${base}console/server`);
    await each.locator('[data-figure="connections"]').filter({ hasText: /^[0-9]/ }).waitFor();
  }
}

await run({ server, token });
