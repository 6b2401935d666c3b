/* batch.js - the page of one batch: its progress, its results, what can be done
 */
/* SPDX-License-Identifier: MIT */
import { progress, setState, trouble } from './bar.js';
import { openResult } from './result.js';
import { act, get } from './server.js';
import {
  LIVE_STATES,
  changed,
  changes,
  keep,
  outcome,
  state,
  title,
} from './state.js';
import {
  $,
  badge,
  duration,
  el,
  fact,
  moment,
  money,
  number,
  say,
  statusMood,
  words,
  write,
  tokens,
} from './words.js';

const POLL_MS = 3000; // for a batch that the stream does not tell of
const TYPING_MS = 300; // until what was typed is looked for
const RESULTS_EACH = 50;
const RESULTS_LIVE_MAX = 200; // that are kept up to date while filtered

export const batchPage = {
  uuid: null,
  batch: null,
  error: '',
  bar: null,
  rows: new Map(), // by index: {node, update}
  cursor: 0,
  hasMore: false,
  searched: 0,
  seen: 0, // last_seq when the results were read
  isLoading: false,
  turn: 0, // of what is loaded: what belongs to an older one is dropped

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
    changed();
  },

  filter() {
    return {
      status: $('filter-status').value,
      text: $('filter-text').value.trim(),
    };
  },

  /* Reads results behind the cursor; or, with `again`, those shown, anew. */
  async load(again = false) {
    if (this.isLoading) return;
    this.isLoading = true;
    const { turn } = this;
    const { status, text } = this.filter();
    const limit = again
      ? Math.min(Math.max(this.rows.size, RESULTS_EACH), RESULTS_LIVE_MAX)
      : RESULTS_EACH;
    const query = new URLSearchParams({
      after: again ? 0 : this.cursor,
      limit,
    });
    if (status) query.set('status', status);
    if (text) query.set('text', text);
    this.seen = this.batch?.last_seq ?? 0;
    try {
      const page = await get(
        `/ui/batches/${encodeURIComponent(this.uuid)}/results?${query}`,
      );
      if (turn !== this.turn) return;
      this.take(page, again);
    } catch (error) {
      if (turn !== this.turn) return;
      write($('results-note'), `The results cannot be read: ${error.message}`);
    }
    this.isLoading = false;
    changed();
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
    if (!this.batch || this.isLoading || this.seen === this.batch.last_seq)
      return;
    if (!status && !text && !this.hasMore) this.load();
    else if ((status || text) && this.rows.size < RESULTS_LIVE_MAX)
      this.load(true);
  },
};

function resultRow(index) {
  const open = el('button', {
    type: 'button',
    onclick: () => openResult(batchPage.uuid, index, open.textContent),
  });
  const status = el('td');
  const text = el('div', { class: 'clamp' });
  const calls = el('td', { class: 'number extra' });
  const latency = el('td', { class: 'number extra' });
  const from = el('td', { class: 'extra' });
  const node = el(
    'tr',
    { 'data-index': index },
    el('th', { scope: 'row' }, open),
    status,
    el('td', {}, text),
    calls,
    latency,
    from,
  );
  const update = result => {
    write(open, result.custom_id);
    status.replaceChildren(
      badge(words(result.status), statusMood(result.status)),
    );
    write(text, result.text ?? result.essence ?? '');
    write(calls, number(result.attempts ?? 0));
    write(
      latency,
      result.latency_ms === null ? '–' : duration(result.latency_ms),
    );
    write(
      from,
      result.cache === 'none' ? (result.upstream ?? '–') : words(result.cache),
    );
  };
  return { node, update };
}

const COUNTED = ['drafts', 'refused', 'done', 'joined', 'cached', 'retrying'];

/* The statuses that there are, with their numbers; what is chosen stays. */
function drawFilter(counts) {
  const select = $('filter-status');
  const chosen = select.value;
  const statuses = Object.entries(counts).filter(
    ([name, value]) => !COUNTED.includes(name) && (value || name === chosen),
  );
  const failed = outcome(counts).failed;
  const options = [['', `any (${number(counts.done)})`]];
  if (failed || chosen === 'fallback')
    options.push(['fallback', `without an answer (${number(failed)})`]);
  for (const [name, value] of statuses)
    options.push([name, `${words(name)} (${number(value)})`]);
  const text = JSON.stringify(options);
  if (select.dataset.shown === text) return;
  select.dataset.shown = text;
  select.replaceChildren(
    ...options.map(([value, label]) => el('option', { value }, label)),
  );
  select.value = chosen;
}

function drawFacts(batch) {
  const { usage } = batch;
  const facts = [
    ['Client', batch.client],
    ['Submitted', moment(batch.created_at)],
    batch.deadline ? ['Deadline', moment(batch.deadline)] : null,
    ['Priority', `${batch.priority} of 3`],
    batch.window ? ['Window', `${batch.window} ${batch.tz}`] : null,
    batch.counts.refused
      ? ['Refused drafts', number(batch.counts.refused)]
      : null,
    ['Tokens', tokens(usage)],
    ['Cost', money(batch.cost_usd)],
    batch.slow?.stage
      ? [
          'Slow calls in flight',
          number(batch.slow.calls.reduce((sum, calls) => sum + calls, 0)),
        ]
      : null,
  ].filter(Boolean);
  const text = facts.map(([, value]) => value.textContent ?? value).join('|');
  if ($('batch-facts').dataset.shown === text) return;
  $('batch-facts').dataset.shown = text;
  $('batch-facts').replaceChildren(
    ...facts.map(([name, value]) => fact(name, value)),
  );
}

function drawActions(batch) {
  const mayAct =
    state.session &&
    state.session.scope !== 'read' &&
    state.link === 'live' &&
    state.overview?.up !== false;
  const failed = outcome(batch.counts).failed;
  const { status } = batchPage.filter();
  const chosen =
    status && !['ok', 'cancelled', 'fallback'].includes(status) ? status : null;
  $('batch-actions').hidden = state.session?.scope === 'read';
  $('cancel').hidden = !LIVE_STATES.includes(batch.state);
  $('pause').hidden = batch.state !== 'sealed';
  $('resume').hidden = batch.state !== 'paused';
  $('retry').hidden =
    !failed ||
    !['sealed', 'paused', 'finished', 'expired'].includes(batch.state);
  write(
    $('retry'),
    chosen
      ? `Retry ${words(chosen)} (${number(batch.counts[chosen] ?? 0)})`
      : `Retry those without an answer (${number(failed)})`,
  );
  for (const id of ['cancel', 'pause', 'resume', 'retry'])
    $(id).disabled = !mayAct;
}

function drawResults(batch) {
  const { rows, hasMore, searched, isLoading } = batchPage;
  const { status, text } = batchPage.filter();
  $('results-wide').hidden = rows.size === 0;
  $('more').hidden = !hasMore;
  $('more').disabled = isLoading;
  const isFiltered = Boolean(status || text);
  write($('more'), isFiltered ? 'Search further' : 'Show more');
  const all = `of ${number(batch.counts.done)} results`;
  let note = `${number(rows.size)} ${all}, in the order in which they came`;
  if (rows.size === 0 && !hasMore) {
    note = isLoading
      ? 'Loading…'
      : isFiltered && batch.counts.done
        ? 'No result matches.'
        : LIVE_STATES.includes(batch.state)
          ? 'No result yet.'
          : 'There is no result.';
  } else if (isFiltered) {
    note = `${number(rows.size)} found in ${number(searched)} ${all}`;
  }
  if (!$('results-note').textContent.startsWith('The results') || rows.size)
    write($('results-note'), note);
}

export function drawBatch() {
  const batch = state.batches.get(batchPage.uuid) ?? batchPage.batch;
  batchPage.batch = batch;
  $('batch-body').hidden = !batch;
  $('batch-empty').hidden = Boolean(batch);
  $('batch-state').hidden = !batch;
  write($('batch-id'), batchPage.uuid);
  if (!batch) {
    write(
      $('batch-empty'),
      batchPage.error
        ? `There is nothing to be shown: ${batchPage.error}`
        : 'Loading…',
    );
    return;
  }
  write($('batch-title'), title(batch));
  document.title = `${title(batch)} – Sheaf`;
  setState($('batch-state'), batch);
  batchPage.bar.update(batch);
  $('batch-trouble').hidden = !trouble(batch);
  write($('batch-trouble'), trouble(batch));
  drawFilter(batch.counts);
  drawActions(batch);
  drawFacts(batch);
  batchPage.keepUp();
  drawResults(batch);
}

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
  changed();
}

$('confirm-no').addEventListener('click', () => $('confirm').close());

$('cancel').addEventListener('click', () => {
  const { all, done } = outcome(batchPage.batch.counts);
  confirmed({
    heading: `Cancel ${title(batchPage.batch)}?`,
    text:
      `${number(all - done)} drafts that are not done end without an ` +
      'answer. That cannot be taken back.',
    yes: 'Cancel the batch',
    run: () => perform('cancel', () => 'The batch is cancelled.'),
  });
});

$('retry').addEventListener('click', () => {
  const { status } = batchPage.filter();
  const isOne = status && !['ok', 'cancelled', 'fallback'].includes(status);
  const statuses = isOne ? [status] : undefined;
  const many = isOne
    ? (batchPage.batch.counts[status] ?? 0)
    : outcome(batchPage.batch.counts).failed;
  confirmed({
    heading: `Retry ${number(many)} drafts?`,
    text:
      'They are called again, which may cost. What they have now stays ' +
      'until something better comes.',
    yes: 'Retry',
    run: () =>
      perform(
        'retry',
        answer => `${number(answer.count)} drafts are tried again.`,
        { statuses },
      ),
  });
});

for (const verb of ['pause', 'resume']) {
  $(verb).addEventListener('click', async () => {
    $(verb).disabled = true;
    try {
      await perform(verb, () =>
        verb === 'pause' ? 'The batch is paused.' : 'The batch goes on.',
      );
      $(verb === 'pause' ? 'resume' : 'pause').focus();
    } catch (error) {
      say(`That was refused: ${error.message}`);
      changed();
    }
  });
}

$('more').addEventListener('click', () => batchPage.load());
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

changes.addEventListener('session', () => {
  if (state.uuid) batchPage.refresh();
});

/* The stream tells of the newest batches; another one is asked for. */
setInterval(() => {
  const isShown = state.uuid && !document.hidden && state.link === 'live';
  if (isShown && !state.order?.includes(state.uuid)) batchPage.refresh();
}, POLL_MS);
