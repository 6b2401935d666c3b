/* sign_in.js - drives a browser over the status page, for 39-page.sh
 *
 *   OWNER=TOKEN READER=TOKEN node sign_in.js BROWSER PICTURES URL
 *
 * The gateway has tokens: one may do all, the other sees what is its own.
 */
/* SPDX-License-Identifier: MIT */
'use strict';

const assert = require('node:assert/strict');
const http = require('node:http');
const {
  WAIT_MS,
  accessible,
  drive,
  nothingWrong,
  open,
  pictures,
  say,
  text,
  until,
  url,
} = require('./browser.js');

const STREAMS_MAX = 64;

function stream(token) {
  return new Promise((resolve, reject) => {
    const request = http.get(
      `${url}/ui/events`,
      { headers: { Authorization: `Bearer ${token}` }, agent: false },
      reply => resolve({ request, reply }),
    );
    request.on('error', reject);
  });
}

/* Streams are as many as the limit says, as soon as the browser's is gone. */
async function streamsAreBounded() {
  const end = Date.now() + WAIT_MS;
  const streams = [];
  while (streams.length < STREAMS_MAX) {
    const one = await stream(process.env.OWNER);
    if (one.reply.statusCode === 200) streams.push(one);
    else one.request.destroy();
    assert.ok(Date.now() < end, `${streams.length} streams are served`);
  }
  const { reply, request } = await stream(process.env.OWNER);
  assert.equal(reply.statusCode, 503);
  for (const one of [...streams, { request }]) one.request.destroy();
  say(`${STREAMS_MAX} pages are served, and no more`);
}

async function withTokens(browser) {
  const page = await open(browser);
  await page.goto(`${url}/`);
  await until(page, 'the sign-in', () => document.activeElement.id === 'token');
  await accessible(page, 'the sign-in');
  await page.screenshot({ path: `${pictures}/sign-in-light.png` });
  await page.fill('#token', 'sk-sheaf-this-is-no-token-at-all');
  await page.keyboard.press('Enter');
  await until(page, 'the refusal', () =>
    /Incorrect API key/.test(
      document.querySelector('#sign-in-error').textContent,
    ),
  );
  await page.fill('#token', process.env.READER);
  await page.keyboard.press('Enter');
  await until(page, 'no batches of others', () =>
    /^No batch yet/.test(document.querySelector('#batches-empty').textContent),
  );
  assert.match(await text(page, '#who-name'), /^alice \(read\)/);
  await page.screenshot({
    path: `${pictures}/empty-light.png`,
    fullPage: true,
  });
  await page.click('#sign-out');
  await until(
    page,
    'the sign-in again',
    () => document.activeElement.id === 'token',
  );
  await page.fill('#token', process.env.OWNER);
  await page.keyboard.press('Enter');
  await until(
    page,
    'batches',
    () => document.querySelectorAll('#batches li').length >= 4,
  );
  assert.deepEqual(
    await page.evaluate(() => [Object.keys(localStorage), document.cookie]),
    [[], ''],
  );
  await nothingWrong(page);
  await page.context().close();
  say('who signs in sees what is his');
  await streamsAreBounded();
}

drive(withTokens);
