/* browser.js - a browser that nobody looks at, for page.js and sign_in.js
 *
 * The command line of both begins with BROWSER PICTURES URL: the program to
 * drive, a directory for pictures of the page, and the gateway's address.
 *
 * Nothing waits for a time: until() waits for a claim about the page, with a
 * deadline, and says which claim did not come true.
 */
/* SPDX-License-Identifier: MIT */
'use strict';

const assert = require('node:assert/strict');
const { execFileSync } = require('node:child_process');
const fs = require('node:fs');
const { chromium } = require('playwright-core');

const [browserPath, pictures, url] = process.argv.slice(2);
const WAIT_MS = 15000;
const POLL_MS = 30;
const axe = fs.readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8');
const began = Date.now();

function say(text) {
  console.log(
    `39-page: ${text} (${((Date.now() - began) / 1000).toFixed(1)} s)`,
  );
}

/* Waits until a function, which is called in the page, gives something true.
 * The driver's own waiting would need what the page's policy forbids. */
async function until(page, claim, test, argument) {
  const end = Date.now() + WAIT_MS;
  let found;
  while (!(found = await page.evaluate(test, argument))) {
    if (Date.now() > end) {
      await page.screenshot({ path: `${pictures}/failed.png` });
      throw new Error(`not within ${WAIT_MS} ms: ${claim}`);
    }
    await new Promise(done => setTimeout(done, POLL_MS));
  }
  return found;
}

const text = (page, selector) => page.textContent(selector);

function submit(name, drafts) {
  return execFileSync(
    'sheaf',
    ['submit', '--input', 'jsonl', '--goal', 'Summarize', '--name', name, '-'],
    { input: drafts.map(draft => JSON.stringify(draft)).join('\n') },
  )
    .toString()
    .trim();
}

function many(count, word) {
  return Array.from({ length: count }, (_, i) => ({
    id: `${word}-${i}`,
    text: `Number ${i} is ${word}.`,
  }));
}

/* A page in which a dialog, an injected element, an error or a violation of the
 * policy is remembered. */
async function open(browser, options = {}) {
  const context = await browser.newContext({
    viewport: { width: 1280, height: 900 },
    ...options,
  });
  const page = await context.newPage();
  page.wrongs = [];
  page.on('dialog', dialog => {
    page.wrongs.push(`a dialog: ${dialog.message()}`);
    dialog.dismiss();
  });
  page.on('pageerror', error => page.wrongs.push(`an error: ${error.stack}`));
  page.on('console', message => {
    if (/Content Security Policy/i.test(message.text()))
      page.wrongs.push(message.text());
  });
  await page.addInitScript(() => {
    window.violations = [];
    document.addEventListener('securitypolicyviolation', event =>
      window.violations.push(`${event.violatedDirective} ${event.blockedURI}`),
    );
  });
  return page;
}

async function nothingWrong(page) {
  assert.deepEqual(page.wrongs, []);
  assert.deepEqual(await page.evaluate(() => window.violations), []);
  const strange = await page.evaluate(() =>
    [
      ...document.querySelectorAll(
        'img, iframe, script:not([src="/page/page.js"]), style, [onerror]',
      ),
    ].map(node => node.outerHTML),
  );
  assert.deepEqual(strange, []);
}

async function accessible(page, what) {
  await page.evaluate(axe);
  const found = await page.evaluate(() =>
    window.axe.run(document, { resultTypes: ['violations'] }),
  );
  const grave = found.violations.filter(violation =>
    ['serious', 'critical'].includes(violation.impact),
  );
  assert.deepEqual(
    grave.map(violation => [
      violation.id,
      violation.nodes.map(node => `${node.html} ${node.failureSummary}`),
    ]),
    [],
    `${what}: accessibility`,
  );
}

async function fits(page, what) {
  const [wide, shown] = await page.evaluate(() => [
    document.documentElement.scrollWidth,
    window.innerWidth,
  ]);
  assert.ok(
    wide <= shown,
    `${what}: ${wide} pixels wide on a screen of ${shown}`,
  );
}

/* Runs a function with a browser; the process fails if it does. */
async function drive(run) {
  const browser = await chromium.launch({
    executablePath: browserPath,
    args: ['--no-sandbox'],
  });
  try {
    await run(browser);
  } catch (error) {
    console.error(error);
    process.exitCode = 1;
  } finally {
    await browser.close();
  }
}

module.exports = {
  WAIT_MS,
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
};
