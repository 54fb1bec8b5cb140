// A buyer in a real browser: opens a pay_url, cancels, comes back, pays, and is told so; without script as well.
//
//     apt-get install chromium && npm install playwright-core
//     shop seed; shop up                                   (on loopback, in another terminal)
//     node tools/cashier/click.mjs [http://127.0.0.1:8080] [directory for pictures]
//
// Places two orders over /api/v1, one for each way of looking. Exit 0 only if everything was as it must be; whatever
// the browser complains about (a policy that is violated, a file that is not there) is a fault.
import assert from 'node:assert/strict';
import { chromium } from 'playwright-core';

const [base = 'http://127.0.0.1:8080', pictures] = process.argv.slice(2);
const headers = { 'content-type': 'application/json', 'x-user-id': '345963634385633280' };

async function api(path, body, more = {}) {
  const method = body ? 'POST' : 'GET';
  const answer = await fetch(base + path, { method, headers: { ...headers, ...more }, body: body && JSON.stringify(body) });
  const said = await answer.json();
  assert.ok(answer.ok, JSON.stringify(said));
  return said;
}

async function payment(key) {
  const items = [{ goodsId: '345959443973935104', quantity: 1 }];
  const order = await api('/api/v1/orders', { items }, { 'idempotency-key': `cashier-${key}-${Date.now()}` });
  return api(`/api/v1/orders/${order.orderId}/payments`, { amount: order.amountDue });
}

async function look(browser, javaScriptEnabled) {
  const { payId, orderId, amount } = await payment(javaScriptEnabled);
  const page = await (await browser.newContext({ javaScriptEnabled })).newPage();
  const complaints = [];
  page.on('console', (message) => complaints.push(message.text()));
  page.on('requestfailed', (request) => complaints.push(request.url()));
  page.on('request', (request) => request.url().startsWith(base) || complaints.push(request.url()));
  const picture = (name) => pictures && page.screenshot({ path: `${pictures}/${name}-${javaScriptEnabled}.png` });
  const said = () => page.locator('#said').innerText();

  // The address as the gateway under test serves it, whatever port its configuration names.
  await page.goto(`${base}/sandbox/pay/${payId}`);
  assert.equal(await page.locator('#amount').innerText(), `¥ ${amount}`);
  assert.match(await page.locator('dl').innerText(), new RegExp(orderId));
  const colour = await page.locator('#pay').evaluate((button) => getComputedStyle(button).backgroundColor).catch(() => null);
  assert.ok(!javaScriptEnabled || colour === 'rgb(22, 96, 207)', `the style is allowed: ${colour}`);
  await picture('open');
  await page.click('#cancel');
  assert.match(await said(), /Nothing was paid/);
  await page.click('#back');
  await page.click('#pay');
  assert.match(await said(), /^Paid/);
  assert.equal(page.url(), `${base}/sandbox/pay/${payId}`);
  await picture('paid');

  for (let waited = 0; (await api(`/api/v1/payments/${payId}`)).status !== 'PAID'; waited += 1) {
    assert.ok(waited < 100, 'the shop is told');
    await new Promise((done) => setTimeout(done, 100));
  }
  assert.deepEqual(complaints.filter((text) => !text.includes('favicon')), []);
  console.log(`payment ${payId} of ${amount} for order ${orderId}: cancelled, came back, paid (script: ${javaScriptEnabled})`);
}

const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: ['--no-sandbox'] });
try {
  for (const javaScriptEnabled of [true, false]) await look(browser, javaScriptEnabled);
} finally {
  await browser.close();
}
