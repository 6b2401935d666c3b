// script.mjs - what a user of Node would write instead
//
//   node script.mjs INPUT OUTPUT BASE_URL CONCURRENCY
//
// Reads drafts from a JSON Lines file, asks for an answer to each by the
// `openai` package, which tries again by itself, so many at a time as `p-limit`
// lets through, and appends the answers to another file. Run where both are
// installed: NODE_MODULES names the directory.
// SPDX-License-Identifier: MIT
import fs from 'node:fs';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';
import readline from 'node:readline';

// p-limit is found as a module only, which NODE_PATH does not serve.
const modules = process.env.NODE_MODULES;
const OpenAI = createRequire(`${modules}/`)('openai');
const { default: pLimit } = await import(
    pathToFileURL(`${modules}/p-limit/index.js`).href);

const [source, target, baseURL, concurrency] = process.argv.slice(2);
const client = new OpenAI({ baseURL, apiKey: 'none', maxRetries: 5 });
const limit = pLimit(Number(concurrency));
const output = fs.createWriteStream(target);

async function answer(draft) {
    const completion = await client.chat.completions.create({
        model: 'bench',
        messages: [{ role: 'user', content: draft.text }],
    });
    const text = completion.choices[0].message.content;
    output.write(JSON.stringify({ id: draft.id, text }) + '\n');
}

const tasks = [];
for await (const line of readline.createInterface(
    { input: fs.createReadStream(source) })) {
    const draft = JSON.parse(line);
    tasks.push(limit(() => answer(draft)));
}
await Promise.all(tasks);
await new Promise((resolve) => output.end(resolve));
