/* page.js - the status page: who signs in, which part is shown
 *
 *   server.js ──► state.js ──► overview.js, batch.js ──► bar.js, plots.js,
 *    events       what is known     what is shown         result.js
 *
 * follow() reads the server's events; draw() brings what is shown to what is
 * known then. Elements stay, and only their texts change, so that neither the
 * keyboard's focus nor a screen reader loses its place.
 */
/* SPDX-License-Identifier: MIT */
import { batchPage, drawBatch } from './batch.js';
import { drawOverview } from './overview.js';
import { readStream, token } from './server.js';
import { changes, clear, state, take } from './state.js';
import { $, write } from './words.js';

const RETRY_MS = 500; // after a stream that broke, doubled
const RETRY_MAX_MS = 10000;
const STALE = 'It is tried again and again; what is shown is as it was.';

/* ---- signing in ---- */

function askForToken(error) {
  const isTold = token.get() !== null || error.status === 403;
  token.forget();
  clear();
  state.link = 'out';
  for (const id of ['overview', 'batch', 'who', 'banner']) $(id).hidden = true;
  $('sign-in').hidden = false;
  write($('sign-in-error'), isTold ? error.message : '');
  $('token').focus();
  drawFrame();
}

$('sign-in-form').addEventListener('submit', event => {
  event.preventDefault();
  token.set($('token').value.trim());
  $('token').value = '';
  write($('sign-in-error'), '');
  state.link = 'connecting';
  follow();
});

$('sign-out').addEventListener('click', () => {
  token.forget();
  location.reload();
});

/* ---- the frame ---- */

function bannerText() {
  const { link, overview, reason } = state;
  if (link === 'away' && reason)
    return `The gateway refuses: ${reason}. It is asked again and again.`;
  if (link === 'away') return `The gateway cannot be reached. ${STALE}`;
  if (overview?.up === false) return `The broker is away. ${STALE}`;
  return overview?.draining
    ? 'The broker is shutting down: nothing new is started.'
    : '';
}

function drawFrame() {
  const isAway = state.link === 'live' && state.overview?.up === false;
  const names = {
    live: 'live',
    away: 'no connection',
    connecting: 'connecting',
    out: 'signed out',
  };
  $('link').dataset.state = isAway ? 'away' : state.link;
  write($('link-text'), isAway ? 'broker away' : names[state.link]);
  const text = bannerText();
  $('banner').hidden = text === '';
  write($('banner'), text);
  $('who').hidden = !token.get() || !state.session;
  if (state.session)
    write($('who-name'), `${state.session.client} (${state.session.scope})`);
  if (state.overview?.version)
    write($('about'), `Sheaf ${state.overview.version}`);
}

function draw() {
  drawFrame();
  if (state.link === 'out') return;
  if (state.uuid) drawBatch();
  else drawOverview();
}

/* ---- which part ---- */

/* Shows what the address names: #/ or #/batch/UUID. */
function show() {
  const [, uuid = null] =
    location.hash.match(/^#\/batch\/([0-9a-f-]{36})$/) ?? [];
  state.uuid = uuid;
  $('overview').hidden = Boolean(uuid);
  $('batch').hidden = !uuid;
  document.title = 'Sheaf';
  if (uuid) batchPage.open(uuid);
  draw();
}

window.addEventListener('hashchange', () => {
  if (state.link === 'out') return;
  show();
  window.scrollTo(0, 0);
  $(state.uuid ? 'batch-title' : 'overview-title').focus({
    preventScroll: true,
  });
});

/* ---- the stream ---- */

function takeAll(events) {
  if (!$('sign-in').hidden) {
    $('sign-in').hidden = true;
    show();
  }
  state.link = 'live';
  take(events);
  draw();
}

/* Until the token is refused. A stream ends from time to time. */
async function follow() {
  let wait = RETRY_MS;
  for (;;) {
    try {
      await readStream(takeAll);
      wait = RETRY_MS;
      continue;
    } catch (error) {
      if (error.status === 401 || error.status === 403) {
        askForToken(error);
        return;
      }
      if (state.link === 'live') wait = RETRY_MS;
      state.link = 'away';
      state.reason = error.status ? error.message : '';
      draw();
    }
    await new Promise(done => setTimeout(done, wait));
    wait = Math.min(wait * 2, RETRY_MAX_MS);
  }
}

changes.addEventListener('change', draw);
show();
follow();
