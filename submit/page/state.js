/* state.js - what is known of the broker
 *
 * Events bring it up to date. Who wants to know listens to `changes`: `change`
 * when something is to be drawn anew, `session` when a stream has begun, which
 * tells all there is once more.
 */
/* SPDX-License-Identifier: MIT */
const RATE_MS = 30000; // a batch's rate is that of this time
const OLDER_MAX = 1000; // batches that are shown beside those told of

export const LIVE_STATES = ['open', 'sealed', 'paused'];

export const state = {
  link: 'connecting', // live, away (the gateway), connecting, out (no token)
  reason: '', // why the gateway refuses
  session: null, // client and scope
  overview: null,
  history: { columns: [], rows: [], number: 0 },
  isAnew: false, // the stream has not told its history yet
  batches: new Map(), // by UUID
  order: null, // UUIDs, newest first; null: not known yet
  hasMore: false,
  older: [], // UUIDs that were asked for
  olderMore: false,
  rates: new Map(), // by UUID: [{at, done}]
  uuid: null, // of the batch whose page is shown; null: the overview is
};

export const changes = new EventTarget();
export const changed = () => changes.dispatchEvent(new Event('change'));

/* Drops what is gone, or is no longer among the newest. */
function forget() {
  const wanted = new Set([...state.order, ...state.older, state.uuid]);
  for (const uuid of state.batches.keys()) {
    if (wanted.has(uuid)) continue;
    state.batches.delete(uuid);
    state.rates.delete(uuid);
  }
}

export function keep(batch) {
  const rates = state.rates.get(batch.batch) ?? [];
  const now = performance.now();
  rates.push({ at: now, done: batch.counts.done });
  while (rates.length > 2 && rates[1].at < now - RATE_MS) rates.shift();
  state.rates.set(batch.batch, rates);
  state.batches.set(batch.batch, batch);
}

/* Behind those that are told of, older ones are shown: what new ones push out
 * is to be there, too. What is gone for good is not at the end. */
function keepPushedOut(order) {
  const before = state.order ?? [];
  const last = before.findLastIndex(uuid => order.includes(uuid));
  const pushedOut = before.slice(last + 1);
  state.older.unshift(...pushedOut.filter(uuid => !state.older.includes(uuid)));
  if (state.older.length <= OLDER_MAX) return;
  state.older.length = OLDER_MAX;
  state.olderMore = true;
}

const handlers = {
  session(data) {
    state.session = data;
    state.isAnew = true;
    changes.dispatchEvent(new Event('session'));
  },
  overview(data) {
    // While the broker is away, what it told last stays.
    state.overview = data.up ? data : { ...state.overview, ...data };
  },
  history(data) {
    const { history } = state;
    if (state.isAnew) history.rows = [];
    state.isAnew = false;
    history.columns = data.columns;
    history.rows.push(...data.rows);
    history.rows.splice(0, history.rows.length - data.max);
    history.number++;
  },
  batches(data) {
    data.batches.forEach(keep);
    if (!data.order) return;
    if (state.older.length) keepPushedOut(data.order);
    state.order = data.order;
    state.hasMore = data.more;
    forget();
  },
};

export function take(events) {
  for (const { name, data } of events) {
    if (Object.hasOwn(handlers, name)) handlers[name](data);
  }
}

/* Who signs out, or is signed out, is to see nothing any more. */
export function clear() {
  Object.assign(state, {
    session: null,
    overview: null,
    order: null,
    older: [],
    olderMore: false,
  });
  state.batches.clear();
  state.rates.clear();
}

export function outcome(counts) {
  const rest = counts.cancelled ?? 0;
  const failed = (counts.done ?? 0) - (counts.ok ?? 0) - rest;
  return {
    ok: counts.ok ?? 0,
    failed,
    rest,
    done: counts.done,
    all: counts.drafts - counts.refused,
  };
}

/* Results per second, and seconds that are left: of the last half minute; of a
 * page that was just opened, of the time since the seal. */
export function pace(batch) {
  const rates = state.rates.get(batch.batch) ?? [];
  const { done, all } = outcome(batch.counts);
  const now = performance.now();
  const first = rates[0];
  let perSecond = 0;
  if (first && now - first.at > 5000) {
    perSecond = ((done - first.done) * 1000) / (now - first.at);
  } else if (batch.sealed_at && state.overview) {
    perSecond =
      (done * 1000) / Math.max(state.overview.at - batch.sealed_at, 1000);
  }
  return { perSecond, left: perSecond > 0 ? (all - done) / perSecond : null };
}

/* One that is made from a file has no name but the one that its client knows. */
export function title({ batch, from_file: fromFile, key, name }) {
  if (name) return name;
  return fromFile ? `batch_${batch}` : key || batch;
}
