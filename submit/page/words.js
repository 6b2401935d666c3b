/* words.js - elements that hold text, and words for figures
 *
 * Everything that the page shows is put there as text, by el() or write().
 * Nothing is ever read as HTML, whatever an id, a name or an answer holds.
 */
/* SPDX-License-Identifier: MIT */
export const $ = id => document.getElementById(id);

export function el(tag, attributes = {}, ...children) {
  const svg = ['svg', 'path', 'line', 'text', 'g'].includes(tag);
  const node = svg
    ? document.createElementNS('http://www.w3.org/2000/svg', tag)
    : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith('on')) node.addEventListener(name.slice(2), value);
    else if (value !== null && value !== false) node.setAttribute(name, value);
  }
  node.append(...children.filter(child => child !== null && child !== ''));
  return node;
}

export function say(text) {
  $('said').textContent = text;
}

export function write(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

export function badge(text, mood) {
  return el('span', { class: 'state', 'data-mood': mood }, text);
}

/* ---- words for numbers ---- */

const count = new Intl.NumberFormat('en');
export const short = new Intl.NumberFormat('en', {
  notation: 'compact',
  maximumFractionDigits: 1,
});
export const number = value =>
  (Math.abs(value) < 100000 ? count : short).format(Math.round(value));

export function percent(part, whole) {
  if (!whole) return '–';
  const share = (100 * part) / whole;
  // What is not quite all is not to look like it, nor what is little like none.
  if (share > 0 && share < 1) return '< 1 %';
  if (share > 99 && share < 100) return '> 99 %';
  return `${Math.round(share)} %`;
}

export function duration(ms) {
  const s = ms / 1000;
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (s < 10) return `${s.toFixed(1)} s`;
  if (s < 100) return `${Math.round(s)} s`;
  if (s < 600) return `${Math.round(s / 30) / 2} min`;
  if (s < 6000) return `${Math.round(s / 60)} min`;
  if (s < 172800)
    return `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} min`;
  return `${Math.round(s / 86400)} days`;
}

export function money(usd) {
  if (usd === null || usd === undefined) return '–';
  if (usd !== 0 && Math.abs(usd) < 0.01) return `$${usd.toPrecision(2)}`;
  return Math.abs(usd) < 100 ? `$${usd.toFixed(2)}` : `$${number(usd)}`;
}

export function rate(perSecond) {
  if (perSecond >= 1) return `${number(perSecond)} / s`;
  if (perSecond * 60 >= 1) return `${number(perSecond * 60)} / min`;
  return `${(perSecond * 3600).toFixed(1)} / h`;
}

/* What a call or a batch used; all of it may be unknown. */
export function tokens(usage) {
  const used = name => {
    const told = usage?.[name];
    return told === null || told === undefined ? '–' : number(told);
  };
  return `${used('prompt_tokens')} in, ${used('completion_tokens')} out`;
}

export function moment(ms) {
  const date = new Date(ms);
  const sameDay = date.toDateString() === new Date().toDateString();
  const text = sameDay
    ? date.toLocaleTimeString()
    : date.toLocaleString(undefined, {
        dateStyle: 'medium',
        timeStyle: 'short',
      });
  return el('time', { datetime: date.toISOString() }, text);
}

export const words = name => name.replaceAll('_', ' ');

export function statusMood(status) {
  if (status === 'ok') return 'ok';
  if (status === 'cancelled') return 'rest';
  return ['rate_limited', 'expired'].includes(status) ? 'warn' : 'bad';
}

export function fact(name, value) {
  return el('div', {}, el('dt', {}, name), el('dd', {}, value));
}
