/* result.js - one result, with what was asked and called for it */
/* SPDX-License-Identifier: MIT */
import { get } from './server.js';
import {
  $,
  badge,
  duration,
  el,
  fact,
  moment,
  money,
  number,
  statusMood,
  words,
  write,
  tokens,
} from './words.js';

const LONG_TEXT = 200000; // characters that are shown of a text

function section(name, text) {
  const shown =
    text.length > LONG_TEXT
      ? `${text.slice(0, LONG_TEXT)}\n… (${number(text.length)} characters)`
      : text;
  return [
    el('h3', {}, name),
    el('pre', { tabindex: 0, role: 'group', 'aria-label': name }, shown),
  ];
}

/* The messages of the request, one after another, or its body as it is. */
function asked(rendered) {
  try {
    const { messages } = JSON.parse(rendered);
    if (messages.every(message => typeof message.content === 'string')) {
      return messages
        .map(message => `${message.role}: ${message.content}`)
        .join('\n\n');
    }
  } catch {
    /* it is cut off, or of another form */
  }
  return rendered;
}

function attemptsTable(attempts) {
  return el(
    'div',
    { class: 'wide', tabindex: 0, role: 'region', 'aria-label': 'Calls' },
    el(
      'table',
      {},
      el(
        'thead',
        {},
        el(
          'tr',
          {},
          ...['Ended', 'Class', 'HTTP', 'Upstream', 'Took', 'Then waited'].map(
            name => el('th', { scope: 'col' }, name),
          ),
        ),
      ),
      el(
        'tbody',
        {},
        ...attempts.map(attempt =>
          el(
            'tr',
            {},
            el('td', {}, moment(attempt.ended_at)),
            el('td', {}, words(attempt.class)),
            el(
              'td',
              {},
              [attempt.http_status || '–', attempt.code]
                .filter(Boolean)
                .join(' '),
            ),
            el('td', {}, attempt.upstream ?? '–'),
            el(
              'td',
              {},
              attempt.latency_ms >= 0 ? duration(attempt.latency_ms) : '–',
            ),
            el('td', {}, attempt.wait_ms ? duration(attempt.wait_ms) : '–'),
          ),
        ),
      ),
    ),
  );
}

function resultParts(result) {
  const { error, usage } = result;
  const facts = [
    fact('Status', badge(words(result.status), statusMood(result.status))),
    fact('Calls', number(result.attempts ?? 0)),
    fact(
      'Latency',
      result.latency_ms === null ? '–' : duration(result.latency_ms),
    ),
    fact('Model', result.model ?? '–'),
    fact('Upstream', result.upstream ?? '–'),
    fact(
      'Found in',
      result.cache === 'none' ? 'a call of its own' : words(result.cache),
    ),
    fact('Tokens', usage ? tokens(usage) : '–'),
    fact('Cost', money(result.cost_usd)),
    fact(
      'Completed',
      result.completed_at ? moment(Date.parse(result.completed_at)) : '–',
    ),
  ];
  const parts = [el('dl', { class: 'facts' }, ...facts)];
  if (result.text !== null) parts.push(...section('Answer', result.text));
  if (result.essence) parts.push(...section('Essence', result.essence));
  if (error)
    parts.push(
      ...section(
        'Error',
        [error.http_status, error.code, error.message]
          .filter(Boolean)
          .join(' '),
      ),
    );
  if (result.metadata && Object.keys(result.metadata).length)
    parts.push(
      ...section('Metadata', JSON.stringify(result.metadata, null, 2)),
    );
  return parts;
}

export async function openResult(uuid, index, name) {
  const url = `/ui/batches/${encodeURIComponent(uuid)}/results/${index}`;
  write($('result-title'), name);
  $('result-body').replaceChildren(el('p', { class: 'muted' }, 'Loading…'));
  $('result').showModal();
  $('result-title').focus();
  try {
    const [result, why] = await Promise.all([
      get(url),
      get(`${url}/why`).catch(() => null),
    ]);
    const parts = resultParts(result);
    if (why?.rendered)
      parts.push(...section('What was asked', asked(why.rendered)));
    if (why?.attempts?.length)
      parts.push(
        el('h3', {}, 'Calls, the newest last'),
        attemptsTable(why.attempts),
      );
    $('result-body').replaceChildren(...parts);
  } catch (error) {
    $('result-body').replaceChildren(
      el(
        'p',
        { class: 'error', role: 'alert' },
        `The result cannot be read: ${error.message}`,
      ),
    );
  }
}

$('result-close').addEventListener('click', () => $('result').close());
