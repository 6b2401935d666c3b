/* bar.js - how far a batch is, as a bar, as numbers and as a word */
/* SPDX-License-Identifier: MIT */
import { LIVE_STATES, outcome, pace } from './state.js';
import { duration, el, number, percent, rate, words, write } from './words.js';

const ERRORS_SHOWN = 5; // of a file's

/* A bar with its numbers, made once, and brought up to date by its update(). */
export function progress(label) {
  const parts = ['ok', 'warn', 'rest'].map(name => el('i', { class: name }));
  const bar = el(
    'div',
    {
      class: 'progress',
      role: 'progressbar',
      'aria-label': label,
      'aria-valuemin': 0,
      'aria-valuemax': 100,
    },
    ...parts,
  );
  const done = el('b');
  const all = el('span');
  const failed = el('span');
  const reused = el('span');
  const again = el('span');
  const left = el('span', { class: 'left' });
  const node = el(
    'div',
    {},
    bar,
    el(
      'p',
      { class: 'numbers' },
      el('span', {}, done, all),
      failed,
      again,
      reused,
      left,
    ),
  );
  const update = batch => {
    const sum = outcome(batch.counts);
    [sum.ok, sum.failed, sum.rest].forEach((value, i) => {
      parts[i].style.width = sum.all ? `${(100 * value) / sum.all}%` : '0';
    });
    bar.setAttribute(
      'aria-valuenow',
      sum.all ? Math.floor((100 * sum.done) / sum.all) : 0,
    );
    bar.setAttribute(
      'aria-valuetext',
      `${number(sum.done)} of ${number(sum.all)} done, ` +
        `${number(sum.failed)} without an answer`,
    );
    write(done, number(sum.done));
    write(
      all,
      ` of ${number(sum.all)}` +
        (sum.all ? ` · ${percent(sum.done, sum.all)}` : ''),
    );
    write(failed, sum.failed ? `${number(sum.failed)} without an answer` : '');
    write(
      again,
      batch.counts.retrying
        ? `${number(batch.counts.retrying)} tried again`
        : '',
    );
    const saved = (batch.counts.joined ?? 0) + (batch.counts.cached ?? 0);
    write(reused, saved ? `${number(saved)} reused` : '');
    write(left, timing(batch));
  };
  return { node, update };
}

function timing(batch) {
  if (!LIVE_STATES.includes(batch.state)) {
    const from = batch.sealed_at || batch.created_at;
    if (!batch.finished_at || batch.state === 'failed') return '';
    return batch.finished_at > from
      ? `took ${duration(batch.finished_at - from)}`
      : 'done at once';
  }
  if (batch.state === 'open' && batch.from_file)
    return `${number(batch.from_file.lines_read)} lines are checked`;
  if (batch.state === 'open') return 'being submitted';
  if (batch.state === 'paused') return 'paused';
  const { perSecond, left } = pace(batch);
  if (!perSecond) return batch.stalled ? '' : 'waiting';
  const end = left < 1 ? 'nearly done' : `${duration(left * 1000)} left`;
  return `${rate(perSecond)} · ${end}`;
}

function mood(batch) {
  if (batch.stalled || batch.state === 'paused') return 'warn';
  if (['failed', 'expired', 'abandoned'].includes(batch.state)) return 'bad';
  if (batch.state === 'finished')
    return outcome(batch.counts).failed ? 'warn' : 'ok';
  return 'rest';
}

function stalledText({ upstream, http_status: status, code, message }) {
  const why = [status || null, code, message].filter(Boolean).join(' ');
  return (
    `Nothing of it can go on: ${upstream} is not asked any more` +
    `${why ? ` (${why})` : ''}. sheaf upstreams resume ${upstream} lifts that.`
  );
}

/* A file is refused as a whole, and nothing was called. */
function refusedText({ error_count: count, errors }) {
  const told = errors
    .slice(0, ERRORS_SHOWN)
    .map(({ line, message }) => message + (line ? ` (line ${line})` : ''));
  const more = count - told.length;
  return (
    `Its file was refused, and nothing called: ${told.join('; ')}` +
    (more > 0 ? `; and ${number(more)} more` : '')
  );
}

/* What somebody should know who looks at it; empty if there is nothing. */
export function trouble(batch) {
  if (batch.stalled) return stalledText(batch.stalled);
  return batch.from_file?.error_count ? refusedText(batch.from_file) : '';
}

function stateName(batch) {
  if (batch.stalled) return 'stalled';
  if (batch.from_file && batch.state === 'open') return 'validating';
  return batch.state === 'sealed' ? 'running' : words(batch.state);
}

export function setState(node, batch) {
  node.dataset.mood = mood(batch);
  write(node, stateName(batch));
}
