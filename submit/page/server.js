/* server.js - what is asked of the server, and the stream of its events */
/* SPDX-License-Identifier: MIT */
const TOKEN = 'sheaf-token';
const SILENT_MS = 30000; // a stream that says nothing for so long is lost

/* A token is kept as long as the tab is open. */
export const token = {
  get: () => sessionStorage.getItem(TOKEN),
  set: value => sessionStorage.setItem(TOKEN, value),
  forget: () => sessionStorage.removeItem(TOKEN),
};

export class Refused extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

/* Asks with the token, if there is one. Throws Refused with the server's own
 * words. */
export async function ask(path, options = {}) {
  const headers = { ...options.headers };
  if (token.get()) headers.Authorization = `Bearer ${token.get()}`;
  const reply = await fetch(path, { ...options, headers, credentials: 'omit' });
  if (reply.ok) return reply;
  const body = await reply.json().catch(() => null);
  throw new Refused(
    reply.status,
    body?.error?.message ?? `the server said ${reply.status}`,
  );
}

export async function get(path) {
  return (await ask(path)).json();
}

export async function act(batch, verb, body = {}) {
  const reply = await ask(`/ui/batches/${encodeURIComponent(batch)}/${verb}`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify(body),
  });
  return reply.json();
}

/* One event of the format: "event: …", "data: …"; null for a comment. */
function parse(block) {
  let name = '';
  let data = '';
  for (const line of block.split('\n')) {
    if (line.startsWith('event: ')) name = line.slice(7);
    else if (line.startsWith('data: ')) data += line.slice(6);
  }
  return name ? { name, data: JSON.parse(data) } : null;
}

/* Reads the stream until it ends, and hands on the events that come together.
 * EventSource would not send a token. */
export async function readStream(take) {
  const control = new AbortController();
  let watch = 0;
  const alive = () => {
    clearTimeout(watch);
    watch = setTimeout(() => control.abort(), SILENT_MS);
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
      if (blocks.length) take(blocks.map(parse).filter(Boolean));
    }
  } finally {
    clearTimeout(watch);
  }
}
