/* plots.js - the history, drawn
 *
 * Each plot is a picture with a sentence in its place for those who do not see
 * it; its curves differ by more than their colour.
 */
/* SPDX-License-Identifier: MIT */
import { state } from './state.js';
import { $, duration, el, money, number, short } from './words.js';

const WIDTH = 400;
const HEIGHT = 150;
const FRAME = { left: 46, right: 8, top: 8, bottom: 22 };

/* What a plot shows: of neighbouring samples, so that counts become rates. A
 * figure that is null leaves a gap. */
const per = (name, unitMs) => (now, before) =>
  ((now.value(name) - before(name)) * unitMs) / now.ms;
const plots = [
  {
    title: 'Latency of the slowest upstream',
    text: duration,
    least: 10,
    curves: [
      { name: 'p50', of: now => now.value('p50_ms') },
      { name: 'p95', of: now => now.value('p95_ms') },
    ],
  },
  {
    title: 'Queue',
    unit: 'requests',
    text: number,
    least: 2,
    curves: [
      { name: 'waiting', of: now => now.value('waiting') },
      { name: 'in flight', of: now => now.value('in_flight') },
    ],
  },
  {
    title: 'Drafts that needed no call',
    max: 100,
    text: value => `${Math.round(value)} %`,
    curves: [
      {
        name: 'reused',
        window: 12,
        of: (now, before) => {
          const drafts = now.value('drafts') - before('drafts');
          return drafts > 0
            ? Math.min(
                100,
                (100 * (now.value('reused') - before('reused'))) / drafts,
              )
            : null;
        },
      },
    ],
  },
  {
    title: 'Tokens',
    unit: 'per minute',
    least: 2,
    text: value => short.format(Math.round(value)),
    curves: [
      { name: 'in', of: per('prompt_tokens', 60000) },
      { name: 'out', of: per('completion_tokens', 60000) },
    ],
  },
  {
    title: 'Calls',
    unit: 'per minute',
    text: number,
    least: 2,
    curves: [
      { name: 'ended', of: per('calls', 60000) },
      { name: 'failed', of: per('calls_failed', 60000) },
    ],
  },
  {
    title: 'Cost',
    unit: 'USD per hour',
    text: money,
    curves: [{ name: 'cost', of: per('cost_usd', 3600000) }],
  },
];

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
    return [
      row[at.at],
      curve.of(now, name => (restarted ? 0 : earlier[at[name]])),
    ];
  });
}

/* A round number that is not below the value, and whose half is round, too. */
function roundUp(value) {
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 4, 6, 8, 10]
    .map(step => step * power)
    .find(step => step >= value * 0.999);
}

function path(points, x, y) {
  let text = '';
  let isOpen = false;
  for (const [at, value] of points) {
    if (value !== null)
      text += `${isOpen ? 'L' : 'M'}${x(at).toFixed(1)} ${y(value).toFixed(1)}`;
    // A figure alone between two gaps is seen, too.
    if (value !== null && !isOpen) text += 'h2';
    isOpen = value !== null;
  }
  return text;
}

const heading = plot =>
  plot.unit ? `${plot.title}, ${plot.unit}` : plot.title;

function summary(plot, curves) {
  const parts = curves.map(curve => {
    const values = curve.points
      .map(point => point[1])
      .filter(value => value !== null);
    if (!values.length) return `${curve.name}: no figures`;
    const [last, least, most] = [
      values.at(-1),
      Math.min(...values),
      Math.max(...values),
    ].map(plot.text);
    return `${curve.name}: ${last} at the end, ${least} to ${most}`;
  });
  return `${heading(plot)}. ${parts.join('. ')}.`;
}

function drawing(plot) {
  const curves = plot.curves.map(curve => ({
    ...curve,
    points: figures(curve),
  }));
  const values = curves
    .flatMap(curve => curve.points.map(point => point[1]))
    .filter(value => value !== null);
  const to = state.history.rows.at(-1)?.[0] ?? Date.now();
  const span = Math.max(to - (state.history.rows[0]?.[0] ?? to), 300000);
  const max = plot.max ?? roundUp(Math.max(...values, plot.least ?? 0) || 1);
  const x = at =>
    FRAME.left + (WIDTH - FRAME.left - FRAME.right) * (1 - (to - at) / span);
  const y = value =>
    HEIGHT - FRAME.bottom - ((HEIGHT - FRAME.top - FRAME.bottom) * value) / max;
  const svg = el('svg', {
    viewBox: `0 0 ${WIDTH} ${HEIGHT}`,
    role: 'img',
    'aria-label': summary(plot, curves),
  });
  for (const part of [0, 0.5, 1]) {
    const at = y(max * part);
    svg.append(
      el('line', {
        class: 'grid',
        x1: FRAME.left,
        x2: WIDTH - FRAME.right,
        y1: at,
        y2: at,
      }),
      el(
        'text',
        { x: FRAME.left - 6, y: at + 4, 'text-anchor': 'end' },
        plot.text(max * part),
      ),
    );
  }
  for (const part of [0, 0.5, 1]) {
    const ago = span * (1 - part);
    svg.append(
      el(
        'text',
        {
          x: x(to - ago),
          y: HEIGHT - 6,
          'text-anchor': ['start', 'middle', 'end'][part * 2],
        },
        ago ? `${duration(ago)} ago` : 'now',
      ),
    );
  }
  if (!values.length) {
    svg.append(
      el(
        'text',
        { class: 'none', x: (WIDTH + FRAME.left) / 2, y: HEIGHT / 2 - 12 },
        'nothing yet',
      ),
    );
  }
  curves.forEach((curve, i) => {
    svg.append(
      el('path', {
        class: i ? 'curve second' : 'curve',
        d: path(curve.points, x, y),
      }),
    );
  });
  const keys = curves.map((curve, i) => {
    const last = curve.points.at(-1)?.[1];
    const value =
      last === null || last === undefined ? '' : ` ${plot.text(last)}`;
    return el(
      'span',
      { class: i ? 'key second' : 'key' },
      `${curve.name}${value}`,
    );
  });
  return [el('figcaption', {}, el('b', {}, heading(plot)), ...keys), svg];
}

let drawn = -1; // the number of the history that is shown

export function drawPlots() {
  if (drawn === state.history.number) return;
  drawn = state.history.number;
  plots.forEach((plot, i) => {
    const figure =
      $('plots').children[i] ?? $('plots').appendChild(el('figure'));
    figure.replaceChildren(...drawing(plot));
  });
}
