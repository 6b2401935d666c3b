// openai_batch.mjs - a batch file goes through Sheaf with OpenAI's own package
//
//   sheafd & sheaf-http &
//   npm install openai
//   node openai_batch.mjs requests.jsonl [ENDPOINT] >answers.jsonl
//
// ENDPOINT is that of all lines, /v1/chat/completions if it is left out.
// Nothing in it is Sheaf's but the address: OPENAI_BASE_URL, or that of a
// sheaf-http on this host; OPENAI_API_KEY is the token, if it asks for one.
// Answers go to standard output, failures to standard error; the exit code is 1
// if there was any. Run again with the same file after an interruption, it finds
// the batch that it has made before.
// SPDX-License-Identifier: MIT

import crypto from "node:crypto";
import fs from "node:fs";
import { pipeline } from "node:stream/promises";
import OpenAI from "openai";

const POLL_MS = Number(process.env.POLL_MS ?? 5000);
const OVER = ["completed", "failed", "expired", "cancelled"];

const client = new OpenAI({
  baseURL: process.env.OPENAI_BASE_URL ?? "http://127.0.0.1:8017/v1",
  apiKey: process.env.OPENAI_API_KEY ?? "none",
});
const path = process.argv[2];
if (!path) {
  console.error("usage: openai_batch.mjs REQUESTS.jsonl [ENDPOINT]");
  process.exit(2);
}
const endpoint = process.argv[3] ?? "/v1/chat/completions";

// The same file under the same key is the same upload, and the same batch.
const digest = crypto.createHash("sha256");
for await (const piece of fs.createReadStream(path)) digest.update(piece);
const once = { headers: { "Idempotency-Key": digest.digest("hex") } };

const file = await client.files.create(
  { file: fs.createReadStream(path), purpose: "batch" }, once);
let batch = await client.batches.create({
  input_file_id: file.id,
  endpoint,
  completion_window: "24h",
  priority: 1, // Sheaf's own: 3 is the most urgent
}, once);
console.error(batch.id);

while (!OVER.includes(batch.status)) {
  await new Promise((go) => setTimeout(go, POLL_MS));
  batch = await client.batches.retrieve(batch.id);
  const { completed, failed, total } = batch.request_counts;
  console.error(`${batch.status}: ${completed + failed} of ${total}`);
}
for (const { code, line, message } of batch.errors?.data ?? [])
  console.error(`${line ? `line ${line}` : path}: ${code}: ${message}`);
for (const [id, to] of [[batch.output_file_id, process.stdout],
  [batch.error_file_id, process.stderr]]) {
  if (!id) continue;
  const content = await client.files.content(id);
  await pipeline(content.body, to, { end: false });
}
process.exitCode =
  batch.status === "completed" && batch.request_counts.failed === 0 ? 0 : 1;
