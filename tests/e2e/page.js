/* page.js - drives a browser over the status page, for 39-page.sh
 *
 *   node page.js BROWSER PICTURES URL BROKER_PID GATEWAY_PID
 *
 * The gateway has no tokens. Both processes are killed; the script starts the
 * broker again, when there is a file away-seen.
 */
/* SPDX-License-Identifier: MIT */
'use strict';

const assert = require('node:assert/strict');
const { execFileSync, spawn } = require('node:child_process');
const fs = require('node:fs');
const {
  accessible,
  drive,
  fits,
  many,
  nothingWrong,
  open,
  pictures,
  say,
  submit,
  text,
  until,
  url,
} = require('./browser.js');

const [brokerPid, gatewayPid] = process.argv.slice(5);
const MANY = 100; // more than one answer of the broker holds

async function theBarMoves(page) {
  const uuid = submit('half is held', [
    ...many(10, 'free'),
    ...many(10, 'held'),
  ]);
  await until(
    page,
    'the bar is half full',
    id =>
      document.querySelector(`[data-batch="${id}"] [role=progressbar]`)
        ?.ariaValueNow === '50',
    uuid,
  );
  assert.match(
    await text(page, `[data-batch="${uuid}"] .numbers`),
    /^10 of 20 · 50 %/,
  );
  assert.equal(await text(page, `[data-batch="${uuid}"] .state`), 'running');
  await page.screenshot({
    path: `${pictures}/running-light.png`,
    fullPage: true,
  });
  fs.writeFileSync('go', '');
  await until(
    page,
    'the bar is full',
    id =>
      document.querySelector(`[data-batch="${id}"] [role=progressbar]`)
        .ariaValueNow === '100',
    uuid,
  );
  await until(
    page,
    'it is finished',
    id =>
      document.querySelector(`[data-batch="${id}"] .state`).textContent ===
      'finished',
    uuid,
  );
  say('a bar moves as its batch does');
}

async function hostileTextIsText(page) {
  const name = '<img src=x onerror=alert(1)>';
  const id = '"><script>alert(2)</script>';
  const uuid = submit(name, [
    { id, text: '</pre><script>alert(3)</script><b>rejected</b>' },
    { id: 'second', text: 'An apple is good.' },
  ]);
  await until(
    page,
    'the hostile batch is finished',
    batch =>
      document.querySelector(`[data-batch="${batch}"] .state`)?.textContent ===
      'finished',
    uuid,
  );
  assert.equal(await text(page, `[data-batch="${uuid}"] a`), name);
  await page.click(`[data-batch="${uuid}"] a`);
  await until(
    page,
    'both results',
    () => document.querySelectorAll('#results tr').length === 2,
  );
  assert.equal(await text(page, '#batch-title'), name);
  assert.equal(await text(page, '#results tr[data-index="0"] button'), id);
  await page.click('#results tr[data-index="0"] button');
  await until(
    page,
    'the result is open',
    () =>
      document.querySelector('#result').open &&
      document.querySelectorAll('#result pre').length >= 3,
  );
  assert.equal(await text(page, '#result-title'), id);
  const shown = await text(page, '#result-body');
  assert.match(shown, /<img src=x onerror=alert\(4\)>/);
  assert.match(shown, /<\/pre><script>alert\(3\)<\/script><b>rejected<\/b>/);
  assert.match(shown, /Essence\[bad_request\]/);
  await accessible(page, 'a result');
  await page.screenshot({ path: `${pictures}/result-light.png` });
  await page.keyboard.press('Escape');
  await nothingWrong(page);
  say('hostile names, ids, texts and errors are shown as text');
}

async function aFallbackIsRetried(page) {
  const uuid = submit('two are flaky', [
    ...many(3, 'fine'),
    ...many(2, 'flaky'),
  ]);
  await page.goto(`${url}/#/batch/${uuid}`);
  await until(page, 'three of five have an answer', () =>
    /2 without an answer/.test(
      document.querySelector('#batch-progress').textContent,
    ),
  );
  await until(
    page,
    'five results',
    () => document.querySelectorAll('#results tr').length === 5,
  );
  await page.selectOption('#filter-status', 'server_error');
  await until(
    page,
    'the two that failed',
    () => document.querySelectorAll('#results tr').length === 2,
  );
  await page.fill('#filter-text', 'FLAKY-1');
  await until(
    page,
    'the one that is sought',
    () => document.querySelectorAll('#results tr').length === 1,
  );
  assert.match(await text(page, '#results-note'), /^1 found in 5 of 5 results/);
  await page.fill('#filter-text', '');
  await page.selectOption('#filter-status', '');
  await until(
    page,
    'all again',
    () => document.querySelectorAll('#results tr').length === 5,
  );
  await accessible(page, 'a batch');
  await page.click('#retry');
  assert.match(await text(page, '#confirm-title'), /^Retry 2 drafts\?/);
  await page.click('#confirm-no');
  await page.click('#retry');
  await page.click('#confirm-yes');
  await until(
    page,
    'all have an answer',
    () =>
      [...document.querySelectorAll('#results .state')]
        .map(node => node.textContent)
        .join() === 'ok,ok,ok,ok,ok',
  );
  assert.match(await text(page, '#said'), /^2 drafts are tried again/);
  assert.equal(await page.isVisible('#retry'), false);
  say('a result is found, and fallbacks are retried');
}

async function aBatchIsCancelled(page) {
  const uuid = submit('nothing comes of it', many(3, 'stuck'));
  await page.goto(`${url}/#/batch/${uuid}`);
  await until(
    page,
    'it runs',
    () => document.querySelector('#batch-state').textContent === 'running',
  );
  await page.click('#pause');
  await until(
    page,
    'it is paused',
    () => document.querySelector('#batch-state').textContent === 'paused',
  );
  await page.click('#resume');
  await until(
    page,
    'it goes on',
    () => document.querySelector('#batch-state').textContent === 'running',
  );
  await page.click('#cancel');
  assert.match(
    await text(page, '#confirm-text'),
    /^3 drafts that are not done/,
  );
  await page.click('#confirm-yes');
  await until(
    page,
    'it is cancelled',
    () => document.querySelector('#batch-state').textContent === 'cancelled',
  );
  await until(
    page,
    'three results',
    () => document.querySelectorAll('#results tr').length === 3,
  );
  assert.equal(await page.isVisible('#cancel'), false);
  say('a batch is paused, resumed and cancelled');
}

async function aRefusedFileSaysWhy(page) {
  const line = (id, path) =>
    JSON.stringify({ custom_id: id, method: 'POST', url: path, body: {} });
  fs.writeFileSync(
    'bad.jsonl',
    `${line('a', '/v1/embeddings')}\n<b>no JSON</b>\n`,
  );
  const curl = (...options) =>
    JSON.parse(execFileSync('curl', ['-s', ...options]).toString());
  const file = curl(
    ...['-F', 'purpose=batch', '-F', 'file=@bad.jsonl', `${url}/v1/files`],
  );
  const batch = curl(
    ...['-H', 'Content-Type: application/json', `${url}/v1/batches`, '-d'],
    JSON.stringify({
      input_file_id: file.id,
      endpoint: '/v1/chat/completions',
      completion_window: '24h',
    }),
  );
  await page.goto(`${url}/#/batch/${batch.id.replace('batch_', '')}`);
  await until(
    page,
    'its file is refused',
    () => document.querySelector('#batch-state').textContent === 'failed',
  );
  assert.match(
    await text(page, '#batch-trouble'),
    /^Its file was refused, and nothing called: .* \(line 1\); .* \(line 2\)$/,
  );
  say('a batch whose file is refused says why');
}

async function aKeyboardIsEnough(page) {
  await page.goto(`${url}/#/`);
  await page.reload();
  await until(
    page,
    'batches',
    () => document.querySelectorAll('#batches li').length >= 4,
  );
  await page.keyboard.press('Tab');
  assert.equal(
    await page.evaluate(() => document.activeElement.className),
    'skip',
  );
  assert.ok(
    await page.evaluate(
      () => document.activeElement.getBoundingClientRect().top >= 0,
    ),
    'the skip link is seen',
  );
  await page.keyboard.press('Tab');
  assert.equal(
    await page.evaluate(() => document.activeElement.className),
    'brand',
  );
  await page.keyboard.press('Tab');
  const outline = await page.evaluate(
    () => getComputedStyle(document.activeElement).outlineStyle,
  );
  assert.equal(outline, 'solid');
  assert.equal(
    await page.evaluate(() => document.activeElement.closest('li')?.className),
    'card',
  );
  await page.keyboard.press('Enter');
  await until(
    page,
    'the heading has the focus',
    () => document.activeElement.id === 'batch-title',
  );
  await until(
    page,
    'results',
    () => document.querySelectorAll('#results tr').length > 0,
  );
  for (
    let i = 0;
    i < 12 &&
    !(await page.evaluate(() =>
      document.activeElement.matches('#results button'),
    ));
    i++
  ) {
    await page.keyboard.press('Tab');
  }
  await page.keyboard.press('Enter');
  await until(
    page,
    'the result is open',
    () => document.querySelector('#result').open,
  );
  await page.keyboard.press('Escape');
  await until(page, 'the focus is back', () =>
    document.activeElement.matches('#results button'),
  );
  say('a keyboard is enough');
}

async function manyAreShownInParts(page) {
  for (let i = 1; i <= MANY; i++) submit(`one of ${i}`, many(1, 'same'));
  await page.goto(`${url}/#/`);
  await until(
    page,
    'the newest twenty batches',
    newest => {
      const list = document.querySelector('#batches');
      const first = list.querySelector('a');
      return list.children.length === 20 && first.textContent === newest;
    },
    `one of ${MANY}`,
  );
  let shown = 20;
  while (await page.isVisible('#older')) {
    await page.click('#older');
    const more = await until(
      page,
      'more batches',
      before => {
        const list = document.querySelector('#batches');
        const { length } = list.children;
        const isFocused = list.children[before]?.contains(
          document.activeElement,
        );
        return length > before && isFocused && length;
      },
      shown,
    );
    shown = more;
  }
  // These push others out of what the broker tells of.
  for (let i = 0; i < 5; i++) submit('a late one', many(1, 'same'));
  const known = execFileSync('sheaf', ['list', '--json']).toString().trim();
  const uuids = known.split('\n').map(line => JSON.parse(line).batch);
  await until(
    page,
    'all batches, none of them twice',
    wanted =>
      [...document.querySelectorAll('#batches li')]
        .map(card => card.dataset.batch)
        .join() === wanted.join(),
    uuids,
  );
  say(`${uuids.length} batches are shown, in parts`);
}

/* Another life of the gateway, at the same address. */
function startGateway() {
  return spawn(
    'sheaf-http',
    ['--listen', new URL(url).host, '--metrics-listen', '127.0.0.1:0'],
    { stdio: ['ignore', 'ignore', fs.openSync('open.err', 'a')] },
  );
}

/* With its pages open. */
async function theGatewayStops(page, gateway) {
  const ended = new Promise(done => gateway.on('exit', done));
  gateway.kill('SIGTERM');
  assert.equal(await ended, 0);
  await until(
    page,
    'there is no connection again',
    () => document.querySelector('#link-text').textContent === 'no connection',
  );
}

async function theGatewayGoesAndComes(page) {
  const link = page.locator('#batches a').nth(1);
  await link.focus();
  const name = await link.textContent();
  process.kill(Number(gatewayPid), 'SIGKILL');
  await until(
    page,
    'there is no connection',
    () => document.querySelector('#link-text').textContent === 'no connection',
  );
  assert.match(await text(page, '#banner'), /^The gateway cannot be reached/);
  const gateway = startGateway();
  await until(
    page,
    'the gateway is back',
    () => document.querySelector('#link-text').textContent === 'live',
  );
  assert.equal(
    await page.evaluate(() => document.activeElement.textContent),
    name,
  );
  say('a gateway that goes and comes takes no focus away');
  return gateway;
}

/* The last one that needs calls. */
async function aThrottleSaysWhy(page) {
  submit('too much', many(1, 'limited'));
  await until(page, 'the upstream is suspended', () =>
    /test is suspended/.test(document.querySelector('#alert-list').textContent),
  );
  const row = await text(page, '#upstreams tr');
  assert.match(row, /suspendeduntil .*: 429 .*stood in retry-after-ms/);
  say('an upstream that is not asked says why, and until when');
}

async function theBrokerGoesAndComes(page) {
  await page.goto(`${url}/#/`);
  process.kill(Number(brokerPid), 'SIGKILL');
  await until(
    page,
    'the broker is away',
    () => document.querySelector('#link-text').textContent === 'broker away',
  );
  assert.match(await text(page, '#banner'), /^The broker is away/);
  assert.ok(
    await page.evaluate(
      () => document.querySelectorAll('#batches li').length >= 4,
    ),
    'what was known stays',
  );
  await page.screenshot({ path: `${pictures}/away-light.png` });
  fs.writeFileSync('away-seen', '');
  await until(
    page,
    'the broker is back',
    () => document.querySelector('#link-text').textContent === 'live',
  );
  assert.equal(await page.isVisible('#banner'), false);
  say('a broker that goes and comes is seen to');
}

async function smallAndDark(browser) {
  const page = await open(browser, {
    viewport: { width: 360, height: 740 },
    colorScheme: 'dark',
    reducedMotion: 'reduce',
  });
  await page.goto(`${url}/`);
  await until(
    page,
    'batches',
    () => document.querySelectorAll('#batches li').length >= 4,
  );
  await until(
    page,
    'plots',
    () => document.querySelectorAll('#plots svg').length === 6,
  );
  await fits(page, 'the overview');
  await accessible(page, 'the overview in the dark');
  await page.screenshot({
    path: `${pictures}/overview-dark-phone.png`,
    fullPage: true,
  });
  await page.click('#batches li:last-child a');
  await until(
    page,
    'results',
    () => document.querySelectorAll('#results tr').length > 0,
  );
  await fits(page, 'a batch');
  await accessible(page, 'a batch in the dark');
  await page.screenshot({ path: `${pictures}/batch-dark-phone.png` });
  await nothingWrong(page);
  await page.context().close();
  say('a phone shows it without scrolling sideways');
}

async function withoutTokens(browser) {
  const page = await open(browser);
  await page.goto(`${url}/`);
  await until(
    page,
    'the page is live',
    () => document.querySelector('#link-text').textContent === 'live',
  );
  await theBarMoves(page);
  await hostileTextIsText(page);
  await aFallbackIsRetried(page);
  await aBatchIsCancelled(page);
  await aKeyboardIsEnough(page);
  await aRefusedFileSaysWhy(page);
  await page.goto(`${url}/#/`);
  await until(
    page,
    'upstreams and plots',
    () =>
      document.querySelectorAll('#upstreams tr').length === 2 &&
      document.querySelectorAll('#plots svg').length === 6,
  );
  assert.match(
    await page.getAttribute('#plots svg', 'aria-label'),
    /^Latency of the slowest upstream\. p50: /,
  );
  await accessible(page, 'the overview');
  await page.screenshot({
    path: `${pictures}/overview-light.png`,
    fullPage: true,
  });
  await smallAndDark(browser);
  await manyAreShownInParts(page);
  const gateway = await theGatewayGoesAndComes(page);
  await aThrottleSaysWhy(page);
  await theBrokerGoesAndComes(page);
  await theGatewayStops(page, gateway);
  await nothingWrong(page);
}

drive(withoutTokens);
