// openai.mjs - cases of 39-openai.sh: what the official openai package does with
// the gateway
//
//   node openai.mjs CASE…
//
// API is the base URL; ALICE, BOB and READER are tokens (the last is Alice's,
// too, but may only read); LINES is how many lines a batch has; OPENAI_DIR holds
// the package.
// SPDX-License-Identifier: MIT

import assert from "node:assert/strict";
import crypto from "node:crypto";
import { createRequire } from "node:module";
import path from "node:path";

const { API, ALICE, BOB, READER, LINES, OPENAI_DIR } = process.env;
const require = createRequire(path.resolve(OPENAI_DIR, "package.json"));
const OpenAI = require("openai");
const { toFile } = OpenAI;

const DEADLINE_MS = 120000;
const OVER = ["completed", "failed", "expired", "cancelled"];

const as = (apiKey, more) =>
  new OpenAI({ apiKey, baseURL: API, maxRetries: 0, ...more });
const client = as(ALICE);

const echo = (text) =>
  "echo " +
  crypto.createHash("sha256").update(text).digest("hex").slice(0, 16);
const textOf = (word, number) => `${word} ${number}: über den Fluß 🌊 \u2028"`;
const seconds = () => Math.floor(Date.now() / 1000);

function lineOf(id, text, endpoint = "/v1/chat/completions") {
  const body = endpoint === "/v1/chat/completions"
    ? { model: "m", messages: [{ role: "user", content: text }] }
    : { model: "m", input: text };
  return JSON.stringify({ custom_id: id, method: "POST", url: endpoint, body });
}

const upload = async (text, name = "in.jsonl", by = client) =>
  by.files.create({
    file: await toFile(Buffer.from(text), name),
    purpose: "batch",
  });

const create = (file, more, by = client) =>
  by.batches.create({
    input_file_id: file.id,
    endpoint: "/v1/chat/completions",
    completion_window: "24h",
    ...more,
  });

async function until(id, states, by = client) {
  const end = Date.now() + DEADLINE_MS;
  for (;;) {
    const batch = await by.batches.retrieve(id);
    if (states.includes(batch.status)) return batch;
    assert(Date.now() < end, `batch ${id} is still ${batch.status}`);
    await new Promise((go) => setTimeout(go, 20));
  }
}

const linesOf = async (id) =>
  (await (await client.files.content(id)).text())
    .split("\n")
    .filter((line) => line)
    .map((line) => JSON.parse(line));

async function refusal(promise, kind, want) {
  try {
    await promise;
  } catch (error) {
    assert(error instanceof kind, `${error} is no ${kind.name}`);
    for (const [name, value] of Object.entries(want ?? {}))
      if (value instanceof RegExp) assert.match(error[name], value);
      else assert.deepEqual(error[name], value, `${name} of ${error}`);
    assert.match(error.requestID, /^req_[0-9a-f]{32}$/);
    return error;
  }
  assert.fail(`what was to be a ${kind.name} went well`);
}

// What a batch has while one of its four lines is done.
async function partial(id) {
  const reply = await client.files.content(`${id}_output`);
  assert.equal(reply.headers.get("x-incomplete"), "true");
  assert.equal(reply.headers.get("content-type"), "application/jsonl");
  const lines = (await reply.text()).split("\n");
  assert.deepEqual([lines.length, JSON.parse(lines[0]).custom_id], [2, "a"]);
  const last = reply.headers.get("x-last-line");
  assert(Number(last) > 0);
  const rest = await client.get(`/files/${id}_output/content?offset=${last}`,
    { __binaryResponse: true });
  assert.equal(await rest.text(), "");
  assert.equal(rest.headers.get("x-incomplete"), "true");
  const errors = await client.files.content(`${id}_error`);
  assert.equal(await errors.text(), "");
  await refusal(as(BOB).files.content(`${id}_output`), OpenAI.NotFoundError,
    { param: "id" });
  await refusal(client.files.content(`batch_${crypto.randomUUID()}_output`),
    OpenAI.NotFoundError);
  await refusal(client.files.content(`${id}_input`), OpenAI.NotFoundError);
}

// All of a batch that is over, line by line.
async function whole(id, outputs, errors) {
  for (const [side, want] of [["output", outputs], ["error", errors]]) {
    let [offset, lines, incomplete] = [0, 0, "true"];
    while (incomplete === "true") {
      const reply = await client.get(
        `/files/${id}_${side}/content?limit=1&offset=${offset}`,
        { __binaryResponse: true });
      const text = await reply.text();
      lines += text ? 1 : 0;
      if (text) JSON.parse(text);
      offset = reply.headers.get("x-last-line");
      incomplete = reply.headers.get("x-incomplete");
    }
    assert.equal(lines, want, `lines of ${side}`);
  }
}

const cases = {
  async lifecycle() {
    const count = Number(LINES);
    const failing = new Set([3, 17]);
    let text = "\ufeff";
    for (let i = 0; i < count; i++)
      text += lineOf(`r-${i}`, failing.has(i) ? `wrong ${i}` : textOf("t", i)) +
        (i % 2 ? "\r\n" : "\n");

    const before = seconds();
    const file = await upload(text, "Fluß \"1\".jsonl");
    assert.match(file.id, /^file-[0-9a-f-]{36}$/);
    assert.deepEqual({ ...file, id: 0, created_at: 0, expires_at: 0 }, {
      id: 0, object: "file", bytes: Buffer.byteLength(text), created_at: 0,
      expires_at: 0, filename: "Fluß \"1\".jsonl", purpose: "batch",
      status: "processed", status_details: null,
    });
    assert(file.created_at >= before - 1 && file.created_at <= seconds() + 1);
    assert(Math.abs(file.expires_at - file.created_at - 30 * 86400) < 5);
    assert.deepEqual(await client.files.retrieve(file.id), file);
    assert.equal((await client.files.waitForProcessing(file.id)).status,
      "processed");
    const again = await client.files.content(file.id);
    assert.equal(Buffer.compare(Buffer.from(await again.arrayBuffer()),
      Buffer.from(text)), 0, "the file as it was sent");

    const made = await create(file, { metadata: { job: "nightly" } });
    assert.match(made.id, /^batch_[0-9a-f-]{36}$/);
    assert.equal(made.object, "batch");
    assert.equal(made.endpoint, "/v1/chat/completions");
    assert.equal(made.input_file_id, file.id);
    assert.equal(made.completion_window, "24h");
    assert.deepEqual(made.metadata, { job: "nightly" });
    assert(["validating", "in_progress"].includes(made.status));
    assert.equal(made.output_file_id, null);
    assert.equal(made.errors, null);
    assert(Math.abs(made.expires_at - made.created_at - 86400) < 5);

    const over = await until(made.id, OVER);
    assert.equal(over.status, "completed");
    assert.deepEqual(over.request_counts,
      { total: count, completed: count - 2, failed: 2 });
    for (const name of ["in_progress_at", "finalizing_at", "completed_at"])
      assert(Number.isInteger(over[name]) && over[name] >= over.created_at,
        name);
    for (const name of ["failed_at", "expired_at", "cancelled_at",
      "cancelling_at"]) assert.equal(over[name], null, name);
    assert(over.usage.input_tokens > 0 && over.usage.output_tokens > 0);
    assert.equal(over.usage.total_tokens,
      over.usage.input_tokens + over.usage.output_tokens);
    assert.equal(over.usage.input_tokens_details.cached_tokens, 0);
    assert.equal(over.usage.output_tokens_details.reasoning_tokens, 0);

    const output = await linesOf(over.output_file_id);
    assert.equal(output.length, count - 2);
    for (const line of output) {
      const number = Number(line.custom_id.slice(2));
      assert.equal(line.error, null);
      assert.equal(line.response.status_code, 200);
      assert.equal(line.response.body.choices[0].message.content,
        echo(textOf("t", number)), line.custom_id);
    }
    assert.equal(new Set(output.map((line) => line.custom_id)).size, count - 2);
    const errors = await linesOf(over.error_file_id);
    assert.deepEqual(errors.map((line) => line.custom_id).sort(),
      ["r-17", "r-3"]);
    assert.equal(errors[0].response.status_code, 400);
    assert.equal(errors[0].response.body.error.code, "odd");
    assert.equal((await client.files.retrieve(over.output_file_id)).purpose,
      "batch_output");

    for (const id of [file.id, over.output_file_id, over.error_file_id]) {
      assert.deepEqual(await client.files.delete(id),
        { id, object: "file", deleted: true });
      await refusal(client.files.retrieve(id), OpenAI.NotFoundError);
    }
    assert.equal((await client.batches.retrieve(over.id)).status, "completed");
  },

  // Each class of error that the package has for what may happen here.
  async failures() {
    const file = await upload(lineOf("a", "x") + "\n");
    await refusal(as("no such token").files.list(), OpenAI.AuthenticationError,
      { status: 401, code: "invalid_api_key" });
    await refusal(upload("{}", "in.jsonl", as(READER)),
      OpenAI.PermissionDeniedError, { code: "insufficient_scope" });
    await refusal(create(file, {}, as(READER)), OpenAI.PermissionDeniedError);
    await refusal(client.files.retrieve("file-abc"), OpenAI.NotFoundError, {
      status: 404, message: "404 No such File object: file-abc", param: "id",
      code: null, type: "invalid_request_error",
    });
    await refusal(client.batches.retrieve("batch_abc"), OpenAI.NotFoundError,
      { code: "batch_not_found" });
    await refusal(create({ id: "file-abc" }), OpenAI.NotFoundError, {
      message: "404 No such File object: file-abc", param: "input_file_id",
    });
    await refusal(
      create({ id: `file-${crypto.randomUUID()}` }), OpenAI.NotFoundError,
      { message: /No such File object/, param: "input_file_id" });
    await refusal(upload("x", "in.txt"), OpenAI.BadRequestError,
      { param: "file", message: /Must be \.jsonl/ });
    await refusal(client.files.create({
      file: await toFile(Buffer.from("{}"), "in.jsonl"), purpose: "vision",
    }), OpenAI.BadRequestError, { param: "purpose" });
    for (const [more, param] of [
      [{ endpoint: undefined }, "endpoint"],
      [{ completion_window: "soon" }, "completion_window"],
      [{ completion_window: undefined }, "completion_window"],
      [{ metadata: "x" }, "metadata"],
      [{ priority: 4 }, "priority"],
      [{ deadline: "tomorrow" }, "deadline"],
      [{ output_expires_after: { anchor: "created_at", seconds: 1 } },
        "output_expires_after"],
    ])
      await refusal(create(file, more), OpenAI.BadRequestError, { param });
    await refusal(create(file, { endpoint: "/v1/moderations" }),
      OpenAI.BadRequestError, { message: /endpoint/ });
    await refusal(create(file, { colour: "red" }), OpenAI.BadRequestError,
      { message: /colour/ });
    await refusal(create(file, { metadata: { a: 1 } }), OpenAI.BadRequestError,
      { message: /metadata/ });
    await refusal(client.files.list({ limit: 0 }), OpenAI.BadRequestError,
      { param: "limit" });
    await refusal(client.batches.list({ limit: 101 }), OpenAI.BadRequestError,
      { param: "limit" });
    await refusal(client.batches.list({ after: "x" }), OpenAI.BadRequestError,
      { param: "after" });
    await refusal(client.batches.list({ after: `batch_${crypto.randomUUID()}` }),
      OpenAI.NotFoundError);

    // A bad line ends the batch, and nothing was called for it.
    const bad = await upload([lineOf("a", "x"), "{", "", lineOf("a", "y"),
      lineOf("b", "z", "/v1/responses")].join("\n"));
    const failed = await until((await create(bad)).id, OVER);
    assert.equal(failed.status, "failed");
    assert(Number.isInteger(failed.failed_at));
    assert.equal(failed.errors.object, "list");
    assert.deepEqual(
      failed.errors.data.map(({ code, line }) => [code, line]),
      [["invalid_json_line", 2], ["duplicate_custom_id", 4],
        ["url_mismatch", 5]]);
    assert.equal(failed.output_file_id, null);
    await refusal(client.batches.cancel(failed.id), OpenAI.ConflictError,
      { message: /Cannot cancel a batch with status 'failed'\./ });
    const empty = await until((await create(await upload(""))).id, OVER);
    assert.deepEqual(empty.errors.data.map(({ code, line }) => [code, line]),
      [["empty_file", null]]);
  },

  // What an upload and a download may ask for.
  async objects() {
    const text = lineOf("a", "x") + "\n";
    const file = await client.files.create({
      file: await toFile(Buffer.from(text), "in.jsonl"), purpose: "batch",
      expires_after: { anchor: "created_at", seconds: 3600 },
    });
    assert.equal(file.expires_at - file.created_at, 3600);
    const get = (headers, method = "GET") =>
      fetch(`${API}/files/${file.id}/content`,
        { method, headers: { authorization: `Bearer ${ALICE}`, ...headers } });
    let reply = await get({ range: "bytes=2-5" });
    assert.equal(reply.status, 206);
    assert.equal(reply.headers.get("content-range"),
      `bytes 2-5/${text.length}`);
    assert.equal(await reply.text(), text.slice(2, 6));
    reply = await get({ range: `bytes=${text.length}-` });
    assert.equal(reply.status, 416);
    assert.equal(reply.headers.get("content-range"), `bytes */${text.length}`);
    assert.equal((await reply.json()).error.code, "invalid_range");
    reply = await get({}, "HEAD");
    assert.equal(reply.status, 200);
    assert.equal(reply.headers.get("content-length"), `${text.length}`);
    assert.equal(await reply.text(), "");

    const keyed = { headers: { "Idempotency-Key": "once" } };
    const [first, second] = [await client.batches.create({
      input_file_id: file.id, endpoint: "/v1/chat/completions",
      completion_window: "90m",
      output_expires_after: { anchor: "created_at", seconds: 7200 },
    }, keyed), await client.batches.create({
      input_file_id: file.id, endpoint: "/v1/chat/completions",
      completion_window: "90m",
    }, keyed)];
    assert.equal(first.id, second.id, "one batch for one key");
    assert.equal(first.completion_window, "90m");
    const over = await until(first.id, OVER);
    const output = await client.files.retrieve(over.output_file_id);
    assert(Math.abs(output.expires_at - output.created_at - 7200) < 5);
    const other = await upload(text);
    const clash = await refusal(client.batches.create({
      input_file_id: other.id, endpoint: "/v1/chat/completions",
      completion_window: "24h",
    }, keyed), OpenAI.ConflictError);
    assert.equal(clash.headers.get("x-should-retry"), "false");
  },

  async lists() {
    const bob = as(BOB);
    const ids = [];
    const files = [];
    assert.deepEqual((await bob.files.list()).data, []);
    for (let i = 0; i < 7; i++) {
      files.push(await upload(lineOf("a", `list ${i}`), `${i}.jsonl`, bob));
      ids.push((await create(files[i], {}, bob)).id);
    }
    for (const id of ids) await until(id, OVER, bob);
    const seen = [];
    for await (const batch of bob.batches.list({ limit: 3 }))
      seen.push(batch.id);
    assert.deepEqual(seen, ids.toReversed());
    const page = await bob.batches.list({ limit: 3 });
    assert.deepEqual([page.data.length, page.has_more], [3, true]);
    const raw = await (await fetch(`${API}/batches?limit=3`,
      { headers: { authorization: `Bearer ${BOB}` } })).json();
    assert.deepEqual([raw.object, raw.first_id, raw.last_id, raw.has_more],
      ["list", ids[6], ids[4], true]);

    const names = [];
    for await (const file of
      bob.files.list({ purpose: "batch", order: "asc", limit: 2 }))
      names.push(file.filename);
    assert.deepEqual(names, files.map((file) => file.filename));
    const made = [];
    for await (const file of bob.files.list({ purpose: "batch_output" }))
      made.push(file.id);
    assert.equal(made.length, 7);
    for (const file of files) await bob.files.delete(file.id);
    for (const id of made) await bob.files.delete(id);
    const none = await (await fetch(`${API}/files`,
      { headers: { authorization: `Bearer ${BOB}` } })).json();
    assert.deepEqual(none, { object: "list", data: [], first_id: null,
      last_id: null, has_more: false });
  },

  // What is another's is answered as what there is not.
  async others() {
    const bob = as(BOB);
    const file = await upload(lineOf("a", "mine") + "\n");
    const batch = await until((await create(file)).id, OVER);
    const text = ({ status, code, param, type, error }, id) =>
      JSON.stringify({ status, code, param, type, error })
        .replaceAll(id, "ID");
    for (const [id, prefix, ask] of [
      [file.id, "file-", (it) => bob.files.retrieve(it)],
      [file.id, "file-", (it) => bob.files.content(it)],
      [file.id, "file-", (it) => bob.files.delete(it)],
      [batch.output_file_id, "file-", (it) => bob.files.content(it)],
      [file.id, "file-", (it) => create({ id: it }, {}, bob)],
      [batch.id, "batch_", (it) => bob.batches.retrieve(it)],
      [batch.id, "batch_", (it) => bob.batches.cancel(it)],
      [batch.id, "batch_", (it) => bob.batches.list({ after: it })],
    ]) {
      const none = prefix + crypto.randomUUID();
      assert.equal(
        text(await refusal(ask(id), OpenAI.NotFoundError), id),
        text(await refusal(ask(none), OpenAI.NotFoundError), none));
    }
    const seen = [];
    for await (const one of bob.batches.list()) seen.push(one.id);
    assert(!seen.includes(batch.id));
    assert.equal((await client.files.retrieve(file.id)).id, file.id);
  },

  async cancel() {
    const text = [lineOf("a", "quick"), ...[1, 2, 3].map((i) =>
      lineOf(`s-${i}`, `slow ${i}`))].join("\n");
    const batch = await create(await upload(text));
    const end = Date.now() + DEADLINE_MS;
    while ((await client.batches.retrieve(batch.id)).request_counts.completed <
      1) assert(Date.now() < end, "the quick one is never done");
    await partial(batch.id);
    const said = await client.batches.cancel(batch.id);
    assert(["cancelling", "cancelled"].includes(said.status), said.status);
    const over = await until(batch.id, OVER);
    assert.equal(over.status, "cancelled");
    assert(over.cancelled_at >= over.cancelling_at);
    assert.deepEqual(over.request_counts,
      { total: 4, completed: 1, failed: 3 });
    assert.deepEqual((await linesOf(over.output_file_id)).map((line) =>
      line.custom_id), ["a"]);
    assert.deepEqual((await linesOf(over.error_file_id)).map((line) =>
      [line.response, line.error.code]), Array(3).fill([null,
        "batch_cancelled"]));
    assert.equal((await client.batches.cancel(batch.id)).status, "cancelled");
    await whole(batch.id, 1, 3);

    // A package that repeats what it may repeats no cancel in vain.
    const done = await until(
      (await create(await upload(lineOf("a", "done")))).id, OVER);
    const since = Date.now();
    await refusal(as(ALICE, { maxRetries: 5 }).batches.cancel(done.id),
      OpenAI.ConflictError,
      { message: "409 Cannot cancel a batch with status 'completed'." });
    assert(Date.now() - since < 10000, "it was repeated");
  },

  async sheaf() {
    const file = await upload(lineOf("a", "options") + "\n");
    const deadline = new Date(Date.now() + 7200e3).toISOString();
    const batch = await create(file, {
      goal: "Summarize", constraints: ["be short"], priority: 2,
      name: "nightly", deadline,
    });
    assert.equal(batch.expires_at, Math.floor(Date.parse(deadline) / 1000));
    assert.equal(batch.completion_window, "2h");
    assert.equal((await until(batch.id, OVER)).status, "completed");
    await refusal(create(file, { goal: 7 }), OpenAI.BadRequestError,
      { message: /goal/ });
    await refusal(create(file, { window: "noon" }), OpenAI.BadRequestError,
      { message: /window/ });
    await refusal(create(file, { deadline: "2020-01-01T00:00:00Z" }),
      OpenAI.BadRequestError, { message: /deadline: .* is past/ });
  },

  async synchronous() {
    const chat = await client.chat.completions.create({
      model: "m", messages: [{ role: "user", content: "at once" }],
    });
    assert.equal(chat.choices[0].message.content, echo("at once"));
    const said = await client.responses.create({ model: "m", input: "now" });
    assert.equal(said.output_text, echo("now"));
    await refusal(client.chat.completions.create({
      model: "m", messages: [{ role: "user", content: "wrong" }],
    }), OpenAI.BadRequestError, { code: "odd" });
    await refusal(client.chat.completions.create({
      model: "m", messages: [{ role: "user", content: "busy" }],
    }), OpenAI.RateLimitError);
  },
};

for (const name of process.argv.slice(2)) {
  try {
    await cases[name]();
  } catch (error) {
    console.error(`${name}: ${error.stack}`);
    process.exit(1);
  }
}
