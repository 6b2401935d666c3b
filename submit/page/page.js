/* page.js - what the status page does
 *
 * Everything shown is put there as text: by el(), or by setting textContent.
 * Nothing is ever read as HTML, whatever an id, a name or an answer holds.
 *
 * follow() reads the server's events and keeps `state` as the broker is; draw()
 * brings what is shown to that. Elements stay, and only their texts change, so
 * that neither the keyboard's focus nor a screen reader loses its place.
 */
'use strict';

const RATE_MS = 30000;         // a batch's rate is that of this time
const RETRY_MS = 500;          // after a stream that broke, doubled
const RETRY_MAX_MS = 10000;
const POLL_MS = 3000;          // for a batch that the stream does not tell of
const TYPING_MS = 300;         // until what was typed is looked for
const BATCHES_EACH = 20;      // more are shown when asked for
const RESULTS_EACH = 50;
const RESULTS_LIVE_MAX = 200;  // that are kept up to date while filtered
const LONG_TEXT = 200000;      // characters that are shown of a text
const TOKEN = 'sheaf-token';
const LIVE_STATES = ['open', 'sealed', 'paused'];

const state = {
  link: 'connecting',          // live, away (the gateway), connecting
  session: null,               // client and scope
  isAnew: {},                  // what the stream, just opened, has not told yet
  overview: null,
  history: { columns: [], rows: [] },
  batches: new Map(),          // by UUID
  order: null,                 // UUIDs, newest first; null: not known yet
  hasMore: false,
  shown: BATCHES_EACH,         // so many batches at most
  older: [],                   // UUIDs that were asked for
  olderMore: false,
  rates: new Map(),            // by UUID: [{at, done}]
  route: { name: 'overview' },
};

const $ = id => document.getElementById(id);

/* ---- elements ---- */

function el(tag, attributes = {}, ...children) {
  const svg = ['svg', 'path', 'line', 'text', 'g'].includes(tag);
  const node = svg ? document.createElementNS('http://www.w3.org/2000/svg', tag)
    : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith('on')) node.addEventListener(name.slice(2), value);
    else if (value !== null && value !== false) node.setAttribute(name, value);
  }
  node.append(...children.filter(child => child !== null && child !== ''));
  return node;
}

function say(text) {
  $('said').textContent = text;
}

function write(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

function badge(text, mood) {
  return el('span', { class: 'state', 'data-mood': mood }, text);
}

/* ---- words for numbers ---- */

const count = new Intl.NumberFormat('en');
const short = new Intl.NumberFormat('en', { notation: 'compact', maximumFractionDigits: 1 });
const number = value => (Math.abs(value) < 100000 ? count : short).format(Math.round(value));

function percent(part, whole) {
  if (!whole) return '–';
  const share = 100 * part / whole;
  // What is not quite all is not to look like it, nor what is little like none.
  if (share > 0 && share < 1) return '< 1 %';
  if (share > 99 && share < 100) return '> 99 %';
  return `${Math.round(share)} %`;
}

function duration(ms) {
  const s = ms / 1000;
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (s < 10) return `${s.toFixed(1)} s`;
  if (s < 100) return `${Math.round(s)} s`;
  if (s < 600) return `${Math.round(s / 30) / 2} min`;
  if (s < 6000) return `${Math.round(s / 60)} min`;
  if (s < 172800) return `${Math.floor(s / 3600)} h ${Math.floor(s % 3600 / 60)} min`;
  return `${Math.round(s / 86400)} days`;
}

function money(usd) {
  if (usd === null || usd === undefined) return '–';
  if (usd !== 0 && Math.abs(usd) < 0.01) return `$${usd.toPrecision(2)}`;
  return `$${usd.toFixed(2)}`;
}

function rate(perSecond) {
  if (perSecond >= 1) return `${number(perSecond)} / s`;
  if (perSecond * 60 >= 1) return `${number(perSecond * 60)} / min`;
  return `${(perSecond * 3600).toFixed(1)} / h`;
}

function moment(ms) {
  const date = new Date(ms);
  const sameDay = date.toDateString() === new Date().toDateString();
  const text = sameDay ? date.toLocaleTimeString()
    : date.toLocaleString(undefined, { dateStyle: 'medium', timeStyle: 'short' });
  return el('time', { datetime: date.toISOString() }, text);
}

const words = name => name.replaceAll('_', ' ');

/* ---- the server ---- */

class Refused extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

/* Asks with the token, if there is one. Throws Refused with the server's own
 * words. */
async function ask(path, options = {}) {
  const token = sessionStorage.getItem(TOKEN);
  const headers = { ...options.headers };
  if (token) headers.Authorization = `Bearer ${token}`;
  const reply = await fetch(path, { ...options, headers, credentials: 'omit' });
  if (reply.ok) return reply;
  const body = await reply.json().catch(() => null);
  throw new Refused(reply.status, body?.error?.message ?? `the server said ${reply.status}`);
}

async function get(path) {
  return (await ask(path)).json();
}

async function act(batch, verb, body = {}) {
  const reply = await ask(`/ui/batches/${encodeURIComponent(batch)}/${verb}`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify(body),
  });
  return reply.json();
}

/* ---- events ---- */

const handlers = {
  session(data) {
    state.session = data;
    $('sign-in').hidden = true;
    $('who').hidden = !sessionStorage.getItem(TOKEN);
    write($('who-name'), `${data.client} (${data.scope})`);
    state.isAnew.history = true;
    if (state.route.name === 'batch') batchPage.refresh();
    else if (state.older.length) loadOlder(true);
  },
  overview(data) {
    state.overview = data;
  },
  history(data) {
    state.history.columns = data.columns;
    if (state.isAnew.history) state.history.rows = [];
    state.isAnew.history = false;
    state.history.rows.push(...data.rows);
    state.history.rows.splice(0, state.history.rows.length - data.max);
    plots.isStale = true;
  },
  batches(data) {
    for (const batch of data.batches) keep(batch);
    if (data.order) {
      state.order = data.order;
      state.hasMore = data.more;
      forget();
    }
  },
};

/* Drops what is gone, or is no longer among the newest. */
function forget() {
  const wanted = new Set([...state.order, ...state.older, batchPage.uuid]);
  for (const uuid of state.batches.keys()) {
    if (wanted.has(uuid)) continue;
    state.batches.delete(uuid);
    state.rates.delete(uuid);
  }
}

function keep(batch) {
  const rates = state.rates.get(batch.batch) ?? [];
  const now = performance.now();
  rates.push({ at: now, done: batch.counts.done });
  while (rates.length > 2 && rates[1].at < now - RATE_MS) rates.shift();
  state.rates.set(batch.batch, rates);
  state.batches.set(batch.batch, batch);
}

/* One block of the format: "event: …", "data: …". Comments have neither. */
function take(block) {
  let name = '';
  let data = '';
  for (const line of block.split('\n')) {
    if (line.startsWith('event: ')) name = line.slice(7);
    else if (line.startsWith('data: ')) data += line.slice(6);
  }
  if (Object.hasOwn(handlers, name)) handlers[name](JSON.parse(data));
}

/* Reads the stream until it ends. EventSource would not send a token. */
async function readStream() {
  const control = new AbortController();
  let watch = 0;
  const alive = () => {
    clearTimeout(watch);
    watch = setTimeout(() => control.abort(), state.session?.silent_ms ?? 30000);
  };
  try {
    alive();
    const reply = await ask('/ui/events', { signal: control.signal });
    const reader = reply.body.pipeThrough(new TextDecoderStream()).getReader();
    let text = '';
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      alive();
      const blocks = (text + value).split('\n\n');
      text = blocks.pop();
      blocks.forEach(take);
      if (blocks.length) {
        setLink('live');
        draw();
      }
    }
  } finally {
    clearTimeout(watch);
  }
}

async function follow() {
  let wait = RETRY_MS;
  for (;;) {
    try {
      await readStream();
      wait = RETRY_MS;
      continue; // it ends from time to time
    } catch (error) {
      if (error.status === 401 || error.status === 403) {
        askForToken(error);
        return;
      }
      if (state.link === 'live') wait = RETRY_MS;
      setLink('away', error.status ? error.message : '');
      draw();
    }
    await new Promise(done => setTimeout(done, wait));
    wait = Math.min(wait * 2, RETRY_MAX_MS);
  }
}

/* ---- signing in ---- */

function askForToken(error) {
  const hadToken = sessionStorage.getItem(TOKEN) !== null;
  sessionStorage.removeItem(TOKEN);
  state.session = null;
  state.overview = null;
  state.order = null;
  state.batches.clear();
  setLink('connecting');
  write($('link-text'), 'signed out');
  for (const id of ['overview', 'batch', 'who', 'banner']) $(id).hidden = true;
  $('sign-in').hidden = false;
  write($('sign-in-error'), hadToken || error.status === 403 ? error.message : '');
  $('token').focus();
}

$('sign-in-form').addEventListener('submit', event => {
  event.preventDefault();
  sessionStorage.setItem(TOKEN, $('token').value.trim());
  $('token').value = '';
  write($('sign-in-error'), '');
  write($('link-text'), 'connecting');
  show();
  follow();
});

$('sign-out').addEventListener('click', () => {
  sessionStorage.removeItem(TOKEN);
  location.reload();
});

/* ---- the frame ---- */

function setLink(link, reason = '') {
  const before = state.link;
  state.link = link;
  state.reason = reason;
  if (link !== 'away') state.awaySince = null;
  else if (before !== 'away') state.awaySince = Date.now();
}

function drawFrame() {
  const overview = state.overview;
  const isUp = overview?.up ?? true;
  const banner = $('banner');
  let text = '';
  if (state.link === 'away') {
    text = state.reason ? `The gateway refuses: ${state.reason}. It is asked again and again.`
      : 'The gateway cannot be reached. It is tried again and again; what is shown is as it was.';
  } else if (!isUp) {
    text = 'The broker is away. It is looked for again and again; what is shown is as it was.';
  } else if (overview?.draining) {
    text = 'The broker is shutting down: nothing new is started.';
  }
  $('link').dataset.state = state.link === 'live' && !isUp ? 'away' : state.link;
  write($('link-text'), state.link === 'away' ? 'no connection'
    : state.link === 'connecting' ? 'connecting' : isUp ? 'live' : 'broker away');
  banner.hidden = text === '';
  write(banner, text);
  if (overview?.version) write($('about'), `Sheaf ${overview.version}`);
}

/* ---- progress ---- */

function outcome(counts) {
  const rest = counts.cancelled ?? 0;
  const failed = (counts.done ?? 0) - (counts.ok ?? 0) - rest;
  return { ok: counts.ok ?? 0, failed, rest, done: counts.done, all: counts.drafts - counts.refused };
}

/* Results per second, and seconds that are left: of the last half minute; of a
 * page that was just opened, of the time since the seal. */
function pace(batch) {
  const rates = state.rates.get(batch.batch) ?? [];
  const { done, all } = outcome(batch.counts);
  const now = performance.now();
  const first = rates[0];
  let perSecond = 0;
  if (first && now - first.at > 5000) {
    perSecond = (done - first.done) * 1000 / (now - first.at);
  } else if (batch.sealed_at && state.overview) {
    perSecond = done * 1000 / Math.max(state.overview.at - batch.sealed_at, 1000);
  }
  return { perSecond, left: perSecond > 0 ? (all - done) / perSecond : null };
}

/* A bar with its numbers, made once, and brought up to date by its update(). */
function progress(label) {
  const parts = ['ok', 'warn', 'rest'].map(name => el('i', { class: name }));
  const bar = el('div', { class: 'progress', role: 'progressbar', 'aria-label': label, 'aria-valuemin': 0, 'aria-valuemax': 100 }, ...parts);
  const done = el('b');
  const all = el('span');
  const failed = el('span');
  const reused = el('span');
  const again = el('span');
  const left = el('span', { class: 'left' });
  const node = el('div', {}, bar, el('p', { class: 'numbers' }, el('span', {}, done, all), failed, again, reused, left));
  const update = batch => {
    const sum = outcome(batch.counts);
    [sum.ok, sum.failed, sum.rest].forEach((value, i) => {
      parts[i].style.width = sum.all ? `${100 * value / sum.all}%` : '0';
    });
    bar.setAttribute('aria-valuenow', sum.all ? Math.floor(100 * sum.done / sum.all) : 0);
    bar.setAttribute('aria-valuetext', `${number(sum.done)} of ${number(sum.all)} done, ${number(sum.failed)} without an answer`);
    write(done, number(sum.done));
    write(all, ` of ${number(sum.all)}${sum.all ? ` · ${percent(sum.done, sum.all)}` : ''}`);
    write(failed, sum.failed ? `${number(sum.failed)} without an answer` : '');
    write(again, batch.counts.retrying ? `${number(batch.counts.retrying)} tried again` : '');
    const saved = (batch.counts.joined ?? 0) + (batch.counts.cached ?? 0);
    write(reused, saved ? `${number(saved)} reused` : '');
    write(left, timing(batch));
  };
  return { node, update };
}

function timing(batch) {
  if (!LIVE_STATES.includes(batch.state)) {
    const from = batch.sealed_at || batch.created_at;
    if (!batch.finished_at) return '';
    return batch.finished_at > from ? `took ${duration(batch.finished_at - from)}` : 'done at once';
  }
  if (batch.state === 'open') return 'being submitted';
  if (batch.state === 'paused') return 'paused';
  const { perSecond, left } = pace(batch);
  if (!perSecond) return batch.stalled ? '' : 'waiting';
  return `${rate(perSecond)} · ${left < 1 ? 'nearly done' : `${duration(left * 1000)} left`}`;
}

function mood(batch) {
  if (batch.stalled || batch.state === 'paused') return 'warn';
  if (['failed', 'expired', 'abandoned'].includes(batch.state)) return 'bad';
  if (batch.state === 'finished') return outcome(batch.counts).failed ? 'warn' : 'ok';
  return 'rest';
}

function stalledText(batch) {
  const { upstream, http_status: status, code, message } = batch.stalled;
  const why = [status || null, code, message].filter(Boolean).join(' ');
  return `Nothing of it can go on: ${upstream} is not asked any more${why ? ` (${why})` : ''}. sheaf upstreams resume ${upstream} lifts that.`;
}

const title = batch => batch.name || batch.key || batch.batch;

function setState(node, batch) {
  node.dataset.mood = mood(batch);
  write(node, batch.stalled ? 'stalled' : batch.state === 'sealed' ? 'running' : words(batch.state));
}

/* ---- the overview ---- */

const cards = new Map(); // by UUID

function card(uuid) {
  const link = el('a', { href: `#/batch/${uuid}` });
  const meta = el('span', { class: 'muted' });
  const badgeNode = badge('', 'rest');
  const stalled = el('p', { class: 'warning', hidden: '' });
  const bar = progress('Progress');
  const node = el('li', { class: 'card', 'data-batch': uuid }, el('div', { class: 'card-title' }, link, meta, badgeNode), bar.node, stalled);
  const update = batch => {
    write(link, title(batch));
    bar.node.firstChild.setAttribute('aria-label', `Progress of ${title(batch)}`);
    const owner = state.session?.scope === 'admin' ? `${batch.client} · ` : '';
    const cost = batch.cost_usd ? ` · ${money(batch.cost_usd)}` : '';
    write(meta, `${owner}${moment(batch.created_at).textContent}${cost}`);
    setState(badgeNode, batch);
    bar.update(batch);
    stalled.hidden = !batch.stalled;
    write(stalled, batch.stalled ? stalledText(batch) : '');
  };
  return { node, update };
}

function drawBatches() {
  const list = $('batches');
  const known = state.order ?? [];
  const all = [...known, ...state.older.filter(uuid => !known.includes(uuid))].filter(uuid => state.batches.has(uuid));
  const uuids = all.slice(0, state.shown);
  for (const [uuid, { node }] of cards) {
    if (uuids.includes(uuid)) continue;
    node.remove();
    cards.delete(uuid);
  }
  uuids.forEach((uuid, i) => {
    if (!cards.has(uuid)) cards.set(uuid, card(uuid));
    const { node, update } = cards.get(uuid);
    if (list.children[i] !== node) list.insertBefore(node, list.children[i] ?? null);
    update(state.batches.get(uuid));
  });
  const isEmpty = uuids.length === 0;
  $('batches-empty').hidden = !isEmpty;
  if (isEmpty) {
    write($('batches-empty'), state.order ? 'No batch yet. What sheaf run and sheaf submit hand in, and what comes over HTTP, is shown here.'
      : state.overview?.up === false ? 'Nothing can be shown until the broker is back.' : 'Loading…');
  }
  const seen = all.filter(uuid => LIVE_STATES.includes(state.batches.get(uuid).state)).length;
  const running = state.session?.scope === 'admin' ? state.overview?.stats?.batches_live ?? seen : seen;
  write($('batches-note'), isEmpty ? '' : `${number(running)} running; the newest ${number(uuids.length)} are shown`);
  $('older').hidden = all.length === uuids.length && !(state.older.length ? state.olderMore : state.hasMore);
}

/* Shows more of what is known, and asks for what is not. */
async function showMore() {
  const known = new Set([...state.order ?? [], ...state.older]);
  const last = $('batches').lastElementChild;
  state.shown += BATCHES_EACH;
  if (known.size < state.shown && (state.older.length ? state.olderMore : state.hasMore)) await loadOlder();
  draw();
  say(`${cards.size} batches are shown.`);
  last.nextElementSibling?.querySelector('a').focus();
}

async function loadOlder(again = false) {
  const button = $('older');
  const shown = state.older.length ? state.older : state.order;
  const before = again ? null : shown?.at(-1);
  if (!before && !again) return;
  button.disabled = true;
  try {
    if (again) {
      const wanted = state.older;
      state.older = [];
      const found = await Promise.allSettled(wanted.map(uuid => get(`/ui/batches/${uuid}`)));
      for (const item of found) if (item.status === 'fulfilled') addOlder(item.value);
    } else {
      const page = await get(`/ui/batches?before=${encodeURIComponent(before)}`);
      page.batches.forEach(addOlder);
      state.olderMore = page.more;
    }
  } catch (error) {
    say(`Older batches cannot be read: ${error.message}`);
  } finally {
    button.disabled = false;
    draw();
  }
}

function addOlder(batch) {
  keep(batch);
  state.older.push(batch.batch);
}

/* Differences of the history's columns over the last minute. */
function lately(samples = 13) {
  const { columns, rows } = state.history;
  const last = rows.at(-1);
  const first = rows.at(-samples) ?? rows[0];
  if (!last || last === first) return null;
  const at = name => columns.indexOf(name);
  const restarted = last[at('uptime_ms')] < last[at('at')] - first[at('at')];
  return {
    minutes: (last[at('at')] - first[at('at')]) / 60000,
    of: name => last[at(name)] - (restarted ? 0 : first[at(name)]),
  };
}

function tile(name) {
  const value = el('span', { class: 'value' });
  const unit = el('span', { class: 'unit' });
  const more = el('dd', { class: 'more' });
  $('tiles').append(el('div', {}, el('dt', {}, name), el('dd', {}, value, ' ', unit), more));
  return (shown, unitText, moreText) => {
    write(value, shown);
    write(unit, unitText);
    write(more, moreText);
  };
}

const tiles = Object.fromEntries(['In flight', 'Waiting', 'Calls', 'Reused', 'Tokens', 'Cost'].map(name => [name, tile(name)]));

function drawTiles() {
  const stats = state.overview?.stats;
  if (!stats) {
    for (const set of Object.values(tiles)) set('–', '', '');
    return;
  }
  const inFlight = stats.upstreams.reduce((sum, upstream) => sum + (upstream.in_flight ?? 0), 0);
  const recent = lately();
  const hour = lately(Infinity);
  const sum = name => stats.upstreams.reduce((all, upstream) => all + (upstream[name] ?? 0), 0);
  const reused = stats.drafts_joined + stats.cache_memory_hits + stats.cache_store_hits;
  const saved = Object.values(stats.reuse ?? {}).reduce((all, tier) => all + tier.saved_usd, 0);
  const lost = stats.workers_offline ? `, ${stats.workers_offline} gone` : '';
  tiles['In flight'](number(inFlight), `of ${stats.slots}`, stats.workers === 1 ? `1 worker${lost}` : `${stats.workers} workers${lost}`);
  tiles.Waiting(number(stats.requests_ready + stats.requests_delayed), 'requests',
    [stats.requests_delayed ? `${number(stats.requests_delayed)} of them delayed` : '',
      stats.oldest_age_ms ? `oldest batch ${duration(stats.oldest_age_ms)}` : ''].filter(Boolean).join(', ') || 'nothing to do');
  tiles.Calls(recent ? number(recent.of('calls') / recent.minutes) : '–', '/ min',
    recent?.of('calls') ? `${percent(recent.of('calls_failed'), recent.of('calls'))} failed` : `${number(stats.calls)} in all`);
  tiles.Reused(percent(hour?.of('reused') ?? 0, hour?.of('drafts') ?? 0), 'of drafts',
    reused ? `${number(reused)} calls less${saved ? `, ${money(saved)} saved` : ''}` : 'in the last hour');
  tiles.Tokens(recent ? short.format(Math.round((recent.of('prompt_tokens') + recent.of('completion_tokens')) / recent.minutes)) : '–', '/ min',
    `${short.format(sum('prompt_tokens'))} in, ${short.format(sum('completion_tokens'))} out`);
  tiles.Cost(money(sum('cost_usd')), '', `since ${moment(state.overview.at - stats.uptime_ms).textContent}`);
}

const alertWords = {
  latency_p50: 'Slow', latency_p95: 'Slow', error_rate: 'Errors', hit_rate: 'Little reuse', store_nearly_full: 'Store nearly full',
  worker_lost: 'Worker lost', upstream_suspended: 'Upstream not asked', queue_stuck: 'Queue stuck',
};

/* What fires, and what is not asked, though that does not fire yet. */
function drawAlerts() {
  const firing = (state.overview?.alerts ?? []).filter(alert => alert.fires);
  const told = new Set(firing.filter(alert => alert.alert === 'upstream_suspended').map(alert => alert.upstream));
  const rows = firing.map(alert => [`${alertWords[alert.alert] ?? words(alert.alert)}${alert.upstream ? `: ${alert.upstream}` : ''}`, alert.message]);
  for (const upstream of state.overview?.upstreams ?? []) {
    if (upstream.state !== 'ready' && !told.has(upstream.name)) rows.push([`${upstream.name} is ${upstream.state}`, reason(upstream)]);
  }
  $('alerts').hidden = rows.length === 0;
  const text = JSON.stringify(rows);
  if ($('alert-list').dataset.shown === text) return;
  $('alert-list').dataset.shown = text;
  $('alert-list').replaceChildren(...rows.map(([name, message]) => el('li', {}, el('b', {}, name), ` ${message}`)));
}

/* Why an upstream is not asked, and until when. */
function reason(upstream) {
  if (!upstream || upstream.state === 'ready') return '';
  const until = upstream.until ? `until ${moment(upstream.until).textContent}` : 'until somebody resumes it';
  const told = [upstream.http_status || null, upstream.code, upstream.message].filter(Boolean).join(' ');
  const from = upstream.wait_from ? ` (the wait stood in ${upstream.wait_from})` : '';
  return upstream.state === 'probing' ? `One call tries it. ${told}` : `${until}: ${told || 'failures in a row'}${from}`;
}

function drawUpstreams() {
  const stats = state.overview?.stats;
  $('upstreams-wide').hidden = !stats;
  $('upstreams-empty').hidden = Boolean(stats);
  if (!stats) {
    write($('upstreams-empty'), state.overview?.up === false ? 'Nothing can be shown until the broker is back.' : 'Loading…');
    return;
  }
  const details = new Map((state.overview.upstreams ?? []).map(upstream => [upstream.name, upstream]));
  const moods = { ready: 'ok', suspended: 'warn', probing: 'warn', stopped: 'bad', broken: 'bad' };
  const ms = value => (value === undefined ? '–' : duration(value));
  $('upstreams').replaceChildren(...stats.upstreams.map(upstream => {
    const detail = details.get(upstream.name);
    const failed = Object.entries(upstream.classes).reduce((sum, [name, calls]) => sum + (['ok', 'aborted'].includes(name) ? 0 : calls), 0);
    const calls = Object.values(upstream.classes).reduce((sum, value) => sum + value, 0);
    const why = reason(detail);
    const name = upstream.state ?? 'ready';
    return el('tr', {},
      el('th', { scope: 'row' }, upstream.name, detail ? '' : el('p', {}, 'the built-in sampler')),
      el('td', {}, badge(name, moods[name] ?? 'rest'), why ? el('p', {}, why) : ''),
      el('td', { class: 'number' }, number(upstream.in_flight)),
      el('td', { class: 'number' }, detail?.rate ? `${detail.rate.toFixed(1)} / s` : '–'),
      el('td', { class: 'number' }, ms(upstream.p50_ms)),
      el('td', { class: 'number' }, ms(upstream.p95_ms)),
      el('td', { class: 'number' }, number(calls)),
      el('td', { class: 'number' }, percent(failed, calls)));
  }));
}

/* ---- plots ---- */

const WIDTH = 400;
const HEIGHT = 150;
const FRAME = { left: 46, right: 8, top: 8, bottom: 22 };

/* What a plot shows: of neighbouring samples, so that counts become rates. A
 * figure that is null leaves a gap. */
const per = (name, unitMs) => (now, before) => (now.value(name) - before(name)) * unitMs / now.ms;
const plots = {
  isStale: true,
  list: [
    { title: 'Latency of the slowest upstream', text: duration, least: 10,
      curves: [{ name: 'p50', of: now => now.value('p50_ms') }, { name: 'p95', of: now => now.value('p95_ms') }] },
    { title: 'Queue', unit: 'requests', text: number, least: 2,
      curves: [{ name: 'waiting', of: now => now.value('waiting') }, { name: 'in flight', of: now => now.value('in_flight') }] },
    { title: 'Drafts that needed no call', max: 100, text: value => `${Math.round(value)} %`,
      curves: [{ name: 'reused', window: 12, of: (now, before) => {
        const drafts = now.value('drafts') - before('drafts');
        return drafts > 0 ? Math.min(100, 100 * (now.value('reused') - before('reused')) / drafts) : null;
      } }] },
    { title: 'Tokens', unit: 'per minute', least: 2, text: value => short.format(Math.round(value)),
      curves: [{ name: 'in', of: per('prompt_tokens', 60000) }, { name: 'out', of: per('completion_tokens', 60000) }] },
    { title: 'Calls', unit: 'per minute', text: number, least: 2,
      curves: [{ name: 'ended', of: per('calls', 60000) }, { name: 'failed', of: per('calls_failed', 60000) }] },
    { title: 'Cost', unit: 'USD per hour', text: money, curves: [{ name: 'cost', of: per('cost_usd', 3600000) }] },
  ],
};

/* The figures of a curve, [time, value]: each of so many samples as its window
 * has. */
function figures(curve) {
  const { columns, rows } = state.history;
  const at = Object.fromEntries(columns.map((name, i) => [name, i]));
  return rows.slice(1).map((row, i) => {
    const earlier = rows[Math.max(0, i + 1 - (curve.window ?? 1))];
    const ms = row[at.at] - earlier[at.at];
    const restarted = row[at.uptime_ms] < earlier[at.uptime_ms];
    const now = { ms: Math.max(ms, 1), value: name => row[at[name]] };
    return [row[at.at], curve.of(now, name => (restarted ? 0 : earlier[at[name]]))];
  });
}

/* A round number that is not below the value, and whose half is round, too. */
function roundUp(value) {
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 4, 6, 8, 10].map(step => step * power).find(step => step >= value * 0.999);
}

function path(points, x, y) {
  let text = '';
  let isOpen = false;
  for (const [at, value] of points) {
    if (value !== null) text += `${isOpen ? 'L' : 'M'}${x(at).toFixed(1)} ${y(value).toFixed(1)}`;
    // A figure alone between two gaps is seen, too.
    if (value !== null && !isOpen) text += 'h2';
    isOpen = value !== null;
  }
  return text;
}

const heading = plot => (plot.unit ? `${plot.title}, ${plot.unit}` : plot.title);

function summary(plot, curves) {
  const parts = curves.map(curve => {
    const values = curve.points.map(point => point[1]).filter(value => value !== null);
    if (!values.length) return `${curve.name}: no figures`;
    return `${curve.name}: ${plot.text(values.at(-1))} at the end, ${plot.text(Math.min(...values))} to ${plot.text(Math.max(...values))}`;
  });
  return `${heading(plot)}. ${parts.join('. ')}.`;
}

function drawing(plot) {
  const curves = plot.curves.map(curve => ({ ...curve, points: figures(curve) }));
  const values = curves.flatMap(curve => curve.points.map(point => point[1])).filter(value => value !== null);
  const to = state.history.rows.at(-1)?.[0] ?? Date.now();
  const span = Math.max(to - (state.history.rows[0]?.[0] ?? to), 300000);
  const max = plot.max ?? roundUp(Math.max(...values, plot.least ?? 0) || 1);
  const x = at => FRAME.left + (WIDTH - FRAME.left - FRAME.right) * (1 - (to - at) / span);
  const y = value => HEIGHT - FRAME.bottom - (HEIGHT - FRAME.top - FRAME.bottom) * value / max;
  const svg = el('svg', { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: 'img', 'aria-label': summary(plot, curves) });
  for (const part of [0, 0.5, 1]) {
    const at = y(max * part);
    svg.append(el('line', { class: 'grid', x1: FRAME.left, x2: WIDTH - FRAME.right, y1: at, y2: at }),
      el('text', { x: FRAME.left - 6, y: at + 4, 'text-anchor': 'end' }, plot.text(max * part)));
  }
  for (const part of [0, 0.5, 1]) {
    const ago = span * (1 - part);
    svg.append(el('text', { x: x(to - ago), y: HEIGHT - 6, 'text-anchor': ['start', 'middle', 'end'][part * 2] },
      ago ? `${duration(ago)} ago` : 'now'));
  }
  if (!values.length) {
    svg.append(el('text', { class: 'none', x: (WIDTH + FRAME.left) / 2, y: HEIGHT / 2 - 12 }, 'nothing yet'));
  }
  curves.forEach((curve, i) => {
    svg.append(el('path', { class: i ? 'curve second' : 'curve', d: path(curve.points, x, y) }));
  });
  const keys = curves.map((curve, i) => {
    const last = curve.points.at(-1)?.[1];
    const value = last === null || last === undefined ? '' : ` ${plot.text(last)}`;
    return el('span', { class: i ? 'key second' : 'key' }, `${curve.name}${value}`);
  });
  return [el('figcaption', {}, el('b', {}, heading(plot)), ...keys), svg];
}

function drawPlots() {
  if (!plots.isStale) return;
  plots.isStale = false;
  plots.list.forEach((plot, i) => {
    const figure = $('plots').children[i] ?? $('plots').appendChild(el('figure'));
    figure.replaceChildren(...drawing(plot));
  });
}

/* ---- a batch's page ---- */

const batchPage = {
  uuid: null,
  batch: null,
  error: '',
  bar: null,
  rows: new Map(), // by index: {node, update}
  cursor: 0,
  hasMore: false,
  searched: 0,
  seen: 0,         // last_seq when the results were read
  isLoading: false,
  turn: 0,         // of what is loaded: what belongs to an older one is dropped

  open(uuid) {
    this.uuid = uuid;
    this.batch = state.batches.get(uuid) ?? null;
    this.error = '';
    this.bar = progress('Progress of the batch');
    $('batch-progress').replaceChildren(this.bar.node);
    $('filter-text').value = '';
    $('filter-status').value = '';
    write($('batch-title'), 'Batch');
    this.clear();
    this.refresh();
  },

  clear() {
    this.turn++;
    this.rows.clear();
    $('results').replaceChildren();
    this.cursor = this.searched = this.seen = 0;
    this.hasMore = this.isLoading = false;
  },

  async refresh() {
    const { uuid } = this;
    try {
      const batch = await get(`/ui/batches/${encodeURIComponent(uuid)}`);
      if (uuid !== this.uuid) return;
      keep(batch);
      this.error = '';
    } catch (error) {
      if (error.status === 401) return;
      if (uuid === this.uuid && error.status) this.error = error.message;
    }
    draw();
  },

  filter() {
    return { status: $('filter-status').value, text: $('filter-text').value.trim() };
  },

  /* Reads results behind the cursor; or, with `again`, all that are shown, anew. */
  async load(again = false) {
    if (this.isLoading) return;
    this.isLoading = true;
    const { turn } = this;
    const { status, text } = this.filter();
    const limit = again ? Math.min(Math.max(this.rows.size, RESULTS_EACH), RESULTS_LIVE_MAX) : RESULTS_EACH;
    const query = new URLSearchParams({ after: again ? 0 : this.cursor, limit });
    if (status) query.set('status', status);
    if (text) query.set('text', text);
    this.seen = this.batch?.last_seq ?? 0;
    try {
      const page = await get(`/ui/batches/${encodeURIComponent(this.uuid)}/results?${query}`);
      if (turn !== this.turn) return;
      this.take(page, again);
    } catch (error) {
      if (turn !== this.turn) return;
      write($('results-note'), `The results cannot be read: ${error.message}`);
    }
    this.isLoading = false;
    draw();
  },

  take(page, again) {
    const found = new Set(page.results.map(result => result.index));
    if (again) {
      for (const [index, row] of this.rows) {
        if (found.has(index)) continue;
        row.node.remove();
        this.rows.delete(index);
      }
    }
    for (const result of page.results) {
      if (!this.rows.has(result.index)) {
        this.rows.set(result.index, resultRow(result.index));
        $('results').append(this.rows.get(result.index).node);
      }
      this.rows.get(result.index).update(result);
    }
    this.cursor = page.cursor;
    this.hasMore = page.more;
    this.searched = (again ? 0 : this.searched) + page.searched;
  },

  /* Results come while it runs, and others after a retry. */
  keepUp() {
    const { status, text } = this.filter();
    if (!this.batch || this.isLoading || this.seen === this.batch.last_seq) return;
    if (!status && !text && !this.hasMore) this.load();
    else if ((status || text) && this.rows.size < RESULTS_LIVE_MAX) this.load(true);
  },
};

function resultRow(index) {
  const open = el('button', { type: 'button', onclick: () => openResult(index) });
  const status = el('td');
  const text = el('div', { class: 'clamp' });
  const calls = el('td', { class: 'number extra' });
  const latency = el('td', { class: 'number extra' });
  const from = el('td', { class: 'extra' });
  const node = el('tr', { 'data-index': index }, el('th', { scope: 'row' }, open), status, el('td', {}, text), calls, latency, from);
  const update = result => {
    write(open, result.custom_id);
    status.replaceChildren(badge(words(result.status), statusMood(result.status)));
    write(text, result.text ?? result.essence ?? '');
    write(calls, number(result.attempts ?? 0));
    write(latency, result.latency_ms === null ? '–' : duration(result.latency_ms));
    write(from, result.cache !== 'none' ? words(result.cache) : result.upstream ?? '–');
  };
  return { node, update };
}

function statusMood(status) {
  if (status === 'ok') return 'ok';
  if (status === 'cancelled') return 'rest';
  return ['rate_limited', 'expired'].includes(status) ? 'warn' : 'bad';
}

const COUNTED = ['drafts', 'refused', 'done', 'joined', 'cached', 'retrying'];

/* The statuses that there are, with their numbers; what is chosen stays. */
function drawFilter(counts) {
  const select = $('filter-status');
  const chosen = select.value;
  const statuses = Object.entries(counts).filter(([name, value]) => !COUNTED.includes(name) && (value || name === chosen));
  const failed = outcome(counts).failed;
  const options = [['', `any (${number(counts.done)})`]];
  if (failed || chosen === 'fallback') options.push(['fallback', `without an answer (${number(failed)})`]);
  for (const [name, value] of statuses) options.push([name, `${words(name)} (${number(value)})`]);
  const text = JSON.stringify(options);
  if (select.dataset.shown === text) return;
  select.dataset.shown = text;
  select.replaceChildren(...options.map(([value, label]) => el('option', { value }, label)));
  select.value = chosen;
}

function fact(name, value) {
  return el('div', {}, el('dt', {}, name), el('dd', {}, value));
}

function drawFacts(batch) {
  const { usage } = batch;
  const facts = [
    ['Client', batch.client],
    ['Submitted', moment(batch.created_at)],
    batch.deadline ? ['Deadline', moment(batch.deadline)] : null,
    ['Priority', `${batch.priority} of 3`],
    batch.window ? ['Window', `${batch.window} ${batch.tz}`] : null,
    batch.counts.refused ? ['Refused drafts', number(batch.counts.refused)] : null,
    ['Tokens', `${number(usage?.prompt_tokens ?? 0)} in, ${number(usage?.completion_tokens ?? 0)} out`],
    ['Cost', money(batch.cost_usd)],
    batch.slow?.stage ? ['Slow calls in flight', number(batch.slow.calls.reduce((sum, calls) => sum + calls, 0))] : null,
  ].filter(Boolean);
  const text = facts.map(([, value]) => value.textContent ?? value).join('|');
  if ($('batch-facts').dataset.shown === text) return;
  $('batch-facts').dataset.shown = text;
  $('batch-facts').replaceChildren(...facts.map(([name, value]) => fact(name, value)));
}

function drawActions(batch) {
  const mayAct = state.session && state.session.scope !== 'read' && state.link === 'live' && state.overview?.up !== false;
  const failed = outcome(batch.counts).failed;
  const { status } = batchPage.filter();
  const chosen = status && !['ok', 'cancelled', 'fallback'].includes(status) ? status : null;
  $('batch-actions').hidden = state.session?.scope === 'read';
  $('cancel').hidden = !LIVE_STATES.includes(batch.state);
  $('pause').hidden = batch.state !== 'sealed';
  $('resume').hidden = batch.state !== 'paused';
  $('retry').hidden = !failed || !['sealed', 'paused', 'finished', 'expired'].includes(batch.state);
  write($('retry'), chosen ? `Retry ${words(chosen)} (${number(batch.counts[chosen] ?? 0)})` : `Retry those without an answer (${number(failed)})`);
  for (const id of ['cancel', 'pause', 'resume', 'retry']) $(id).disabled = !mayAct;
}

function drawResults(batch) {
  const { rows, hasMore, searched, isLoading } = batchPage;
  const { status, text } = batchPage.filter();
  $('results-wide').hidden = rows.size === 0;
  $('more').hidden = !hasMore;
  $('more').disabled = isLoading;
  const isFiltered = Boolean(status || text);
  write($('more'), isFiltered ? 'Search further' : 'Show more');
  let note = `${number(rows.size)} of ${number(batch.counts.done)} results, in the order in which they came`;
  if (rows.size === 0 && !hasMore) {
    note = isLoading ? 'Loading…' : isFiltered && batch.counts.done ? 'No result matches.' : 'No result yet.';
  } else if (isFiltered) {
    note = `${number(rows.size)} found in ${number(searched)} of ${number(batch.counts.done)} results`;
  }
  if (!$('results-note').textContent.startsWith('The results') || rows.size) write($('results-note'), note);
}

function drawBatch() {
  const batch = state.batches.get(batchPage.uuid) ?? batchPage.batch;
  batchPage.batch = batch;
  $('batch-body').hidden = !batch;
  $('batch-empty').hidden = Boolean(batch);
  $('batch-state').hidden = !batch;
  write($('batch-id'), batchPage.uuid);
  if (!batch) {
    write($('batch-empty'), batchPage.error ? `There is nothing to be shown: ${batchPage.error}` : 'Loading…');
    return;
  }
  write($('batch-title'), title(batch));
  document.title = `${title(batch)} – Sheaf`;
  setState($('batch-state'), batch);
  batchPage.bar.update(batch);
  $('batch-stalled').hidden = !batch.stalled;
  write($('batch-stalled'), batch.stalled ? stalledText(batch) : '');
  drawFilter(batch.counts);
  drawActions(batch);
  drawFacts(batch);
  batchPage.keepUp();
  drawResults(batch);
}

/* ---- one result ---- */

function section(name, text) {
  const shown = text.length > LONG_TEXT ? `${text.slice(0, LONG_TEXT)}\n… (${number(text.length)} characters in all)` : text;
  return [el('h3', {}, name), el('pre', { tabindex: 0, role: 'group', 'aria-label': name }, shown)];
}

/* The messages of the request, one after another, or its body as it is. */
function asked(rendered) {
  try {
    const { messages } = JSON.parse(rendered);
    if (messages.every(message => typeof message.content === 'string')) {
      return messages.map(message => `${message.role}: ${message.content}`).join('\n\n');
    }
  } catch { /* it is cut off, or of another form */ }
  return rendered;
}

function attemptsTable(attempts) {
  return el('div', { class: 'wide', tabindex: 0, role: 'region', 'aria-label': 'Calls' }, el('table', {},
    el('thead', {}, el('tr', {}, ...['Ended', 'Class', 'HTTP', 'Upstream', 'Took', 'Then waited'].map(name => el('th', { scope: 'col' }, name)))),
    el('tbody', {}, ...attempts.map(attempt => el('tr', {},
      el('td', {}, moment(attempt.ended_at)),
      el('td', {}, words(attempt.class)),
      el('td', {}, [attempt.http_status || '–', attempt.code].filter(Boolean).join(' ')),
      el('td', {}, attempt.upstream ?? '–'),
      el('td', {}, attempt.latency_ms >= 0 ? duration(attempt.latency_ms) : '–'),
      el('td', {}, attempt.wait_ms ? duration(attempt.wait_ms) : '–'))))));
}

function resultParts(result) {
  const { error, usage } = result;
  const facts = [
    fact('Status', badge(words(result.status), statusMood(result.status))),
    fact('Calls', number(result.attempts ?? 0)),
    fact('Latency', result.latency_ms === null ? '–' : duration(result.latency_ms)),
    fact('Model', result.model ?? '–'),
    fact('Upstream', result.upstream ?? '–'),
    fact('Found in', result.cache === 'none' ? 'a call of its own' : words(result.cache)),
    fact('Tokens', usage ? `${number(usage.prompt_tokens ?? 0)} in, ${number(usage.completion_tokens ?? 0)} out` : '–'),
    fact('Cost', money(result.cost_usd)),
    fact('Completed', result.completed_at ? moment(Date.parse(result.completed_at)) : '–'),
  ];
  const parts = [el('dl', { class: 'facts' }, ...facts)];
  if (result.text !== null) parts.push(...section('Answer', result.text));
  if (result.essence) parts.push(...section('Essence', result.essence));
  if (error) parts.push(...section('Error', [error.http_status, error.code, error.message].filter(Boolean).join(' ')));
  if (result.metadata && Object.keys(result.metadata).length) parts.push(...section('Metadata', JSON.stringify(result.metadata, null, 2)));
  return parts;
}

async function openResult(index) {
  const uuid = batchPage.uuid;
  const url = `/ui/batches/${encodeURIComponent(uuid)}/results/${index}`;
  write($('result-title'), batchPage.rows.get(index)?.node.querySelector('button').textContent ?? `Draft ${index}`);
  $('result-body').replaceChildren(el('p', { class: 'muted' }, 'Loading…'));
  $('result').showModal();
  $('result-title').focus();
  try {
    const [result, why] = await Promise.all([get(url), get(`${url}/why`).catch(() => null)]);
    const parts = resultParts(result);
    if (why?.rendered) parts.push(...section('What was asked', asked(why.rendered)));
    if (why?.attempts?.length) parts.push(el('h3', {}, 'Calls, the newest last'), attemptsTable(why.attempts));
    $('result-body').replaceChildren(...parts);
  } catch (error) {
    $('result-body').replaceChildren(el('p', { class: 'error', role: 'alert' }, `The result cannot be read: ${error.message}`));
  }
}

$('result-close').addEventListener('click', () => $('result').close());

/* ---- what is done ---- */

/* Asks whether it is meant, does it, and says what came of it. */
function confirmed({ heading, text, yes, run }) {
  write($('confirm-title'), heading);
  write($('confirm-text'), text);
  write($('confirm-yes'), yes);
  write($('confirm-error'), '');
  $('confirm-yes').onclick = async () => {
    $('confirm-yes').disabled = true;
    try {
      await run();
      $('confirm').close();
    } catch (error) {
      write($('confirm-error'), error.message);
    }
    $('confirm-yes').disabled = false;
  };
  $('confirm').showModal();
  $('confirm-no').focus();
}

async function perform(verb, done, body) {
  const answer = await act(batchPage.uuid, verb, body);
  keep(answer);
  say(done(answer));
  draw();
}

$('confirm-no').addEventListener('click', () => $('confirm').close());

$('cancel').addEventListener('click', () => {
  const { all, done } = outcome(batchPage.batch.counts);
  confirmed({
    heading: `Cancel ${title(batchPage.batch)}?`,
    text: `${number(all - done)} drafts that are not done end without an answer. That cannot be taken back.`,
    yes: 'Cancel the batch',
    run: () => perform('cancel', () => 'The batch is cancelled.'),
  });
});

$('retry').addEventListener('click', () => {
  const { status } = batchPage.filter();
  const isOne = status && !['ok', 'cancelled', 'fallback'].includes(status);
  const statuses = isOne ? [status] : undefined;
  const many = isOne ? batchPage.batch.counts[status] ?? 0 : outcome(batchPage.batch.counts).failed;
  confirmed({
    heading: `Retry ${number(many)} drafts?`,
    text: 'They are called again, which may cost. What they have now stays until something better comes.',
    yes: 'Retry',
    run: () => perform('retry', answer => `${number(answer.count)} drafts are tried again.`, { statuses }),
  });
});

for (const verb of ['pause', 'resume']) {
  $(verb).addEventListener('click', async () => {
    $(verb).disabled = true;
    try {
      await perform(verb, () => (verb === 'pause' ? 'The batch is paused.' : 'The batch goes on.'));
      $(verb === 'pause' ? 'resume' : 'pause').focus();
    } catch (error) {
      say(`That was refused: ${error.message}`);
      draw();
    }
  });
}

$('more').addEventListener('click', () => batchPage.load());
$('older').addEventListener('click', showMore);
$('filter').addEventListener('submit', event => event.preventDefault());
async function search() {
  batchPage.clear();
  await batchPage.load();
  say($('results-note').textContent);
}

$('filter-status').addEventListener('change', search);

let typing = 0;
$('filter-text').addEventListener('input', () => {
  clearTimeout(typing);
  typing = setTimeout(search, TYPING_MS);
});

/* ---- what is shown ---- */

function draw() {
  if (!$('sign-in').hidden) return;
  drawFrame();
  if (state.route.name === 'batch') {
    drawBatch();
    return;
  }
  drawAlerts();
  drawTiles();
  drawBatches();
  drawUpstreams();
  drawPlots();
}

/* Shows what the address names: #/ or #/batch/UUID. */
function show() {
  const [, uuid] = location.hash.match(/^#\/batch\/([0-9a-f-]{36})$/) ?? [];
  state.route = uuid ? { name: 'batch' } : { name: 'overview' };
  $('overview').hidden = Boolean(uuid);
  $('batch').hidden = !uuid;
  document.title = 'Sheaf';
  if (uuid) batchPage.open(uuid);
  else plots.isStale = true;
  draw();
}

window.addEventListener('hashchange', () => {
  if (!$('sign-in').hidden) return;
  show();
  window.scrollTo(0, 0);
  $(state.route.name === 'batch' ? 'batch-title' : 'overview-title').focus({ preventScroll: true });
});

/* The stream tells of the newest batches; another one is asked for. */
setInterval(() => {
  const isShown = state.route.name === 'batch' && !document.hidden && state.link === 'live' && $('sign-in').hidden;
  if (isShown && !state.order?.includes(batchPage.uuid)) batchPage.refresh();
}, POLL_MS);

show();
follow();
