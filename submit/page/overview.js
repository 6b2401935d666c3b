/* overview.js - the page of all batches: figures, alerts, batches, upstreams */
/* SPDX-License-Identifier: MIT */
import { progress, setState, trouble } from './bar.js';
import { drawPlots } from './plots.js';
import { get } from './server.js';
import { LIVE_STATES, changed, changes, keep, state, title } from './state.js';
import {
  $,
  badge,
  duration,
  el,
  moment,
  money,
  number,
  percent,
  say,
  short,
  words,
  write,
} from './words.js';

const BATCHES_EACH = 20; // more are shown when asked for
let shown = BATCHES_EACH;

const cards = new Map(); // by UUID

function card(uuid) {
  const link = el('a', { href: `#/batch/${uuid}` });
  const meta = el('span', { class: 'muted' });
  const badgeNode = badge('', 'rest');
  const warning = el('p', { class: 'warning', hidden: '' });
  const bar = progress('Progress');
  const node = el(
    'li',
    { class: 'card', 'data-batch': uuid },
    el('div', { class: 'card-title' }, link, meta, badgeNode),
    bar.node,
    warning,
  );
  const update = batch => {
    write(link, title(batch));
    bar.node.firstChild.setAttribute(
      'aria-label',
      `Progress of ${title(batch)}`,
    );
    const owner = state.session?.scope === 'admin' ? `${batch.client} · ` : '';
    const cost = batch.cost_usd ? ` · ${money(batch.cost_usd)}` : '';
    write(meta, `${owner}${moment(batch.created_at).textContent}${cost}`);
    setState(badgeNode, batch);
    bar.update(batch);
    warning.hidden = !trouble(batch);
    write(warning, trouble(batch));
  };
  return { node, update };
}

function drawBatches() {
  const list = $('batches');
  const known = state.order ?? [];
  const all = [
    ...known,
    ...state.older.filter(uuid => !known.includes(uuid)),
  ].filter(uuid => state.batches.has(uuid));
  const uuids = all.slice(0, shown);
  for (const [uuid, { node }] of cards) {
    if (uuids.includes(uuid)) continue;
    node.remove();
    cards.delete(uuid);
  }
  uuids.forEach((uuid, i) => {
    if (!cards.has(uuid)) cards.set(uuid, card(uuid));
    const { node, update } = cards.get(uuid);
    if (list.children[i] !== node)
      list.insertBefore(node, list.children[i] ?? null);
    update(state.batches.get(uuid));
  });
  const isEmpty = uuids.length === 0;
  $('batches-empty').hidden = !isEmpty;
  if (isEmpty) {
    write(
      $('batches-empty'),
      state.order
        ? 'No batch yet. What sheaf run and sheaf submit hand in, and what ' +
            'comes over HTTP, is shown here.'
        : state.overview?.up === false
          ? 'Nothing can be shown until the broker is back.'
          : 'Loading…',
    );
  }
  const seen = all.filter(uuid =>
    LIVE_STATES.includes(state.batches.get(uuid).state),
  ).length;
  const running =
    state.session?.scope === 'admin'
      ? (state.overview?.stats?.batches_live ?? seen)
      : seen;
  write(
    $('batches-note'),
    isEmpty
      ? ''
      : `${number(running)} running; the newest ${uuids.length} are shown`,
  );
  $('older').hidden =
    all.length === uuids.length &&
    !(state.older.length ? state.olderMore : state.hasMore);
}

/* Shows more of what is known, and asks for what is not. */
async function showMore() {
  const known = new Set([...(state.order ?? []), ...state.older]);
  const last = $('batches').lastElementChild;
  shown += BATCHES_EACH;
  if (
    known.size < shown &&
    (state.older.length ? state.olderMore : state.hasMore)
  )
    await loadOlder();
  changed();
  say(`${cards.size} batches are shown.`);
  last.nextElementSibling?.querySelector('a').focus();
}

/* Asks for the next page behind those that are known; or, when a stream has
 * begun, for all of them anew, as they may have changed. */
async function loadOlder(again = false) {
  const wanted = again ? state.older.length : 1;
  let before = (again ? state.order : [...state.order, ...state.older]).at(-1);
  const found = again ? [] : [...state.older];
  let more = true;
  $('older').disabled = true;
  try {
    for (let count = 0; more && count < wanted;) {
      const page = await get(
        `/ui/batches?before=${encodeURIComponent(before)}`,
      );
      page.batches.forEach(keep);
      found.push(...page.batches.map(batch => batch.batch));
      before = found.at(-1);
      count += page.batches.length;
      more = page.more && page.batches.length > 0;
    }
    state.older = found;
    state.olderMore = more;
  } catch (error) {
    say(`Older batches cannot be read: ${error.message}`);
  } finally {
    $('older').disabled = false;
    changed();
  }
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
  $('tiles').append(
    el('div', {}, el('dt', {}, name), el('dd', {}, value, ' ', unit), more),
  );
  return (valueText, unitText, moreText) => {
    write(value, valueText);
    write(unit, unitText);
    write(more, moreText);
  };
}

const tiles = Object.fromEntries(
  ['In flight', 'Waiting', 'Calls', 'Reused', 'Tokens', 'Cost'].map(name => [
    name,
    tile(name),
  ]),
);

function drawTiles() {
  const stats = state.overview?.stats;
  if (!stats) {
    for (const set of Object.values(tiles)) set('–', '', '');
    return;
  }
  const inFlight = stats.upstreams.reduce(
    (sum, upstream) => sum + (upstream.in_flight ?? 0),
    0,
  );
  const recent = lately();
  const hour = lately(Infinity);
  const sum = name =>
    stats.upstreams.reduce((all, upstream) => all + (upstream[name] ?? 0), 0);
  const reused =
    stats.drafts_joined + stats.cache_memory_hits + stats.cache_store_hits;
  const saved = Object.values(stats.reuse ?? {}).reduce(
    (all, tier) => all + tier.saved_usd,
    0,
  );
  const lost = stats.workers_offline ? `, ${stats.workers_offline} gone` : '';
  tiles['In flight'](
    number(inFlight),
    `of ${stats.slots}`,
    stats.workers === 1 ? `1 worker${lost}` : `${stats.workers} workers${lost}`,
  );
  tiles.Waiting(
    number(stats.requests_ready + stats.requests_delayed),
    'requests',
    [
      stats.requests_delayed
        ? `${number(stats.requests_delayed)} of them delayed`
        : '',
      stats.oldest_age_ms
        ? `oldest batch ${duration(stats.oldest_age_ms)}`
        : '',
    ]
      .filter(Boolean)
      .join(', ') || 'nothing to do',
  );
  tiles.Calls(
    recent ? number(recent.of('calls') / recent.minutes) : '–',
    '/ min',
    recent?.of('calls')
      ? `${percent(recent.of('calls_failed'), recent.of('calls'))} failed`
      : `${number(stats.calls)} in all`,
  );
  tiles.Reused(
    percent(hour?.of('reused') ?? 0, hour?.of('drafts') ?? 0),
    'of drafts',
    reused
      ? `${number(reused)} calls less${saved ? `, ${money(saved)} saved` : ''}`
      : 'in the last hour',
  );
  tiles.Tokens(
    recent
      ? short.format(
          Math.round(
            (recent.of('prompt_tokens') + recent.of('completion_tokens')) /
              recent.minutes,
          ),
        )
      : '–',
    '/ min',
    `${short.format(sum('prompt_tokens'))} in, ` +
      `${short.format(sum('completion_tokens'))} out`,
  );
  tiles.Cost(
    money(sum('cost_usd')),
    '',
    `since ${moment(state.overview.at - stats.uptime_ms).textContent}`,
  );
}

const alertWords = {
  latency_p50: 'Slow',
  latency_p95: 'Slow',
  error_rate: 'Errors',
  hit_rate: 'Little reuse',
  store_nearly_full: 'Store nearly full',
  worker_lost: 'Worker lost',
  upstream_suspended: 'Upstream not asked',
  queue_stuck: 'Queue stuck',
};

/* What fires, and what is not asked, though that does not fire yet. */
function drawAlerts() {
  const firing = (state.overview?.alerts ?? []).filter(alert => alert.fires);
  const told = new Set(
    firing
      .filter(alert => alert.alert === 'upstream_suspended')
      .map(alert => alert.upstream),
  );
  const rows = firing.map(alert => [
    (alertWords[alert.alert] ?? words(alert.alert)) +
      (alert.upstream ? `: ${alert.upstream}` : ''),
    alert.message,
  ]);
  for (const upstream of state.overview?.upstreams ?? []) {
    if (upstream.state !== 'ready' && !told.has(upstream.name))
      rows.push([`${upstream.name} is ${upstream.state}`, reason(upstream)]);
  }
  $('alerts').hidden = rows.length === 0;
  const text = JSON.stringify(rows);
  if ($('alert-list').dataset.shown === text) return;
  $('alert-list').dataset.shown = text;
  $('alert-list').replaceChildren(
    ...rows.map(([name, message]) =>
      el('li', {}, el('b', {}, name), ` ${message}`),
    ),
  );
}

/* Why an upstream is not asked, and until when. */
function reason(upstream) {
  if (!upstream || upstream.state === 'ready') return '';
  const until = upstream.until
    ? `until ${moment(upstream.until).textContent}`
    : 'until somebody resumes it';
  const told = [upstream.http_status || null, upstream.code, upstream.message]
    .filter(Boolean)
    .join(' ');
  const from = upstream.wait_from
    ? ` (the wait stood in ${upstream.wait_from})`
    : '';
  return upstream.state === 'probing'
    ? `One call tries it. ${told}`
    : `${until}: ${told || 'failures in a row'}${from}`;
}

function drawUpstreams() {
  const stats = state.overview?.stats;
  $('upstreams-wide').hidden = !stats;
  $('upstreams-empty').hidden = Boolean(stats);
  if (!stats) {
    write(
      $('upstreams-empty'),
      state.overview?.up === false
        ? 'Nothing can be shown until the broker is back.'
        : 'Loading…',
    );
    return;
  }
  const details = new Map(
    (state.overview.upstreams ?? []).map(upstream => [upstream.name, upstream]),
  );
  const moods = {
    ready: 'ok',
    suspended: 'warn',
    probing: 'warn',
    stopped: 'bad',
    broken: 'bad',
  };
  const ms = value => (value === undefined ? '–' : duration(value));
  $('upstreams').replaceChildren(
    ...stats.upstreams.map(upstream => {
      const detail = details.get(upstream.name);
      const failed = Object.entries(upstream.classes).reduce(
        (sum, [name, calls]) =>
          sum + (['ok', 'aborted'].includes(name) ? 0 : calls),
        0,
      );
      const calls = Object.values(upstream.classes).reduce(
        (sum, value) => sum + value,
        0,
      );
      const why = reason(detail);
      const name = upstream.state ?? 'ready';
      return el(
        'tr',
        {},
        el(
          'th',
          { scope: 'row' },
          upstream.name,
          detail ? '' : el('p', {}, 'the built-in sampler'),
        ),
        el(
          'td',
          {},
          badge(name, moods[name] ?? 'rest'),
          why ? el('p', {}, why) : '',
        ),
        el('td', { class: 'number' }, number(upstream.in_flight)),
        el(
          'td',
          { class: 'number' },
          detail?.rate ? `${detail.rate.toFixed(1)} / s` : '–',
        ),
        el('td', { class: 'number' }, ms(upstream.p50_ms)),
        el('td', { class: 'number' }, ms(upstream.p95_ms)),
        el('td', { class: 'number' }, number(calls)),
        el('td', { class: 'number' }, percent(failed, calls)),
      );
    }),
  );
}

export function drawOverview() {
  drawAlerts();
  drawTiles();
  drawBatches();
  drawUpstreams();
  drawPlots();
}

$('older').addEventListener('click', showMore);
changes.addEventListener('session', () => {
  if (state.order && state.older.length) loadOlder(true);
});
