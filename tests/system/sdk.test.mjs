// The official Node SDK, unmodified, against the server that test_sdk_node.py started. Addresses and keys come from the environment.
import assert from "node:assert/strict";
import test from "node:test";
import OpenAI from "openai";

const { HEARTH_BASE_URL: baseURL, HEARTH_API_KEY: apiKey, HEARTH_BROKEN_MODEL: brokenModel, HEARTH_SLOW_ENGINE: slowEngine, HEARTH_END_OF_TURN: endOfTurn } = process.env;
const client = new OpenAI({ baseURL, apiKey, maxRetries: 0, timeout: 60_000 });
const messages = [{ role: "user", content: "Tell me a story." }];
const ask = (more) => client.chat.completions.create({ model: "babble", messages, max_completion_tokens: 8, ...more });

async function collect(stream) {
  const chunks = [];
  for await (const chunk of stream) chunks.push(chunk);
  return chunks;
}

test("a chat completion", async () => {
  const { data, response, request_id } = await ask().withResponse();
  assert.match(data.id, /^chatcmpl-/);
  assert.equal(data.object, "chat.completion");
  assert.equal(data.choices[0].message.role, "assistant");
  assert.ok(data.choices[0].message.content.length > 0);
  assert.equal(data.usage.total_tokens, data.usage.prompt_tokens + data.usage.completion_tokens);
  assert.match(request_id, /^req_/);
  assert.equal(response.status, 200);
});

test("a stream", async () => {
  const chunks = await collect(await ask({ stream: true }));
  assert.equal(chunks[0].choices[0].delta.role, "assistant");
  assert.ok(["stop", "length"].includes(chunks.at(-1).choices[0].finish_reason));
  assert.equal(new Set(chunks.map((chunk) => chunk.id)).size, 1);
});

test("a stream with usage", async () => {
  const chunks = await collect(await ask({ stream: true, stream_options: { include_usage: true } }));
  assert.deepEqual(chunks.at(-1).choices, []);
  assert.ok(chunks.at(-1).usage.completion_tokens > 0);
  assert.ok(chunks.slice(0, -1).every((chunk) => chunk.usage === null));
});

test("the SDK's own accumulation of a stream", async () => {
  const runner = client.chat.completions.stream({ model: "babble", messages, max_completion_tokens: 8 });
  const whole = await runner.finalChatCompletion();
  assert.ok(whole.choices[0].message.content.length > 0);
});

test("a stream that is left early", async () => {
  const stream = await ask({ stream: true, max_completion_tokens: 500 });
  for await (const chunk of stream) {
    assert.ok(chunk.id);
    break;
  }
  assert.ok((await ask()).id);
});

// The starter model reads tools and knows this one's subject: it takes the arguments from the question.
const starter = "hearth-starter";
const limit = {
  type: "function",
  function: {
    name: "set_rate_limit",
    description: "Sets how many requests a project may make per minute.",
    strict: true,
    parameters: {
      type: "object", properties: { project: { type: "string" }, requests_per_minute: { type: "integer" } },
      required: ["project", "requests_per_minute"], additionalProperties: false,
    },
  },
};
const limitMessages = [{ role: "user", content: "limit alpha to 30 requests per minute" }];
const limitArguments = { project: "alpha", requests_per_minute: 30 };

test("a forced tool call and its answer", async () => {
  const more = { model: starter, tools: [limit], max_completion_tokens: 200, temperature: 0 };
  const first = await ask({ ...more, messages: limitMessages, tool_choice: { type: "function", function: { name: "set_rate_limit" } } });
  const call = first.choices[0].message.tool_calls[0];
  assert.equal(call.function.name, "set_rate_limit");
  assert.deepEqual(JSON.parse(call.function.arguments), limitArguments);
  const second = await ask({
    ...more, tool_choice: "none",
    messages: [...limitMessages, first.choices[0].message, { role: "tool", tool_call_id: call.id, content: "done" }],
  });
  assert.ok(second.choices[0].message.content);
});

test("a streamed tool call, put together by the SDK", async () => {
  const runner = client.chat.completions.stream({ model: starter, messages: limitMessages, tools: [limit], tool_choice: "required", max_completion_tokens: 200, temperature: 0 });
  const whole = await runner.finalChatCompletion();
  const call = whole.choices[0].message.tool_calls[0];
  assert.equal(call.function.name, "set_rate_limit");
  assert.deepEqual(JSON.parse(call.function.arguments), limitArguments);
});

test("structured output, parsed by the SDK", async () => {
  const schema = { type: "object", properties: { mood: { type: "string", enum: ["good", "bad"] } }, required: ["mood"], additionalProperties: false };
  const reply = await client.chat.completions.parse({
    model: "babble", messages, max_completion_tokens: 100, temperature: 0,
    response_format: { type: "json_schema", json_schema: { name: "mood", strict: true, schema } },
  });
  assert.ok(["good", "bad"].includes(JSON.parse(reply.choices[0].message.content).mood));
});

test("several choices with log-probabilities", async () => {
  const reply = await ask({ n: 3, logprobs: true, top_logprobs: 2, max_completion_tokens: 2 });
  assert.deepEqual(reply.choices.map((choice) => choice.index), [0, 1, 2]);
  for (const choice of reply.choices) for (const token of choice.logprobs.content) assert.equal(token.top_logprobs.length, 2);
});

test("stored completions: create, retrieve, update, list, messages, delete", async () => {
  const tag = `node-${process.pid}`;
  const made = [];
  for (let i = 0; i < 3; ++i) made.push(await ask({ store: true, metadata: { tag }, max_completion_tokens: 2 }));
  const one = await client.chat.completions.retrieve(made[0].id);
  assert.equal(one.metadata.tag, tag);
  const changed = await client.chat.completions.update(made[0].id, { metadata: { tag, more: "yes" } });
  assert.equal(changed.metadata.more, "yes");
  const listed = [];
  for await (const item of client.chat.completions.list({ metadata: { tag }, limit: 2 })) listed.push(item.id);
  assert.deepEqual(listed, made.map((item) => item.id));
  const said = await client.chat.completions.messages.list(made[0].id);
  assert.equal(said.data[0].content, messages[0].content);
  for (const item of made) assert.equal((await client.chat.completions.delete(item.id)).deleted, true);
  await assert.rejects(client.chat.completions.retrieve(made[0].id), OpenAI.NotFoundError);
});

test("text completions", async () => {
  const reply = await client.completions.create({ model: "babble", prompt: "The river", max_tokens: 4, echo: true, logprobs: 1, best_of: 2, n: 1 });
  assert.ok(reply.choices[0].text.startsWith("The river"));
  assert.equal(reply.choices[0].logprobs.token_logprobs[0], null);
  const chunks = await collect(await client.completions.create({ model: "babble", prompt: "The river", max_tokens: 4, stream: true }));
  assert.ok(chunks.length > 0);
});

test("embeddings: base64 under the hood, numbers, dimensions", async () => {
  const hidden = await client.embeddings.create({ model: "embed", input: ["a river", "a door"] });
  const plain = await client.embeddings.create({ model: "embed", input: ["a river", "a door"], encoding_format: "float" });
  assert.equal(hidden.data.length, 2);
  assert.equal(hidden.data[0].embedding.length, 64);
  hidden.data[1].embedding.forEach((value, at) => assert.ok(Math.abs(value - plain.data[1].embedding[at]) < 1e-4));
  const short = await client.embeddings.create({ model: "embed", input: "a river", dimensions: 16 });
  assert.equal(short.data[0].embedding.length, 16);
  assert.ok(Math.abs(Math.hypot(...short.data[0].embedding) - 1) < 1e-3);
});

test("models", async () => {
  const names = [];
  for await (const model of client.models.list()) names.push(model.id);
  assert.ok(names.includes("babble") && names.includes("embed"));
  assert.equal((await client.models.retrieve("babble")).object, "model");
  await assert.rejects(client.models.delete("babble"), OpenAI.PermissionDeniedError);
});

test("errors arrive as the SDK's classes", async () => {
  const wrong = new OpenAI({ baseURL, apiKey: "sk-wrong-0123456789abcdef", maxRetries: 0 });
  await assert.rejects(wrong.models.list(), (error) => error instanceof OpenAI.AuthenticationError && error.code === "invalid_api_key");
  await assert.rejects(ask({ model: "no-such" }), (error) => error instanceof OpenAI.NotFoundError && error.code === "model_not_found" && error.param === "model");
  await assert.rejects(ask({ temperature: 9 }), (error) => error instanceof OpenAI.BadRequestError && error.param === "temperature" && /^req_/.test(error.requestID));
  await assert.rejects(ask({ stream: true, n: 0 }), OpenAI.BadRequestError);
  await assert.rejects(client.files.list(), (error) => error instanceof OpenAI.InternalServerError && error.status === 501);
});

test("an upstream that dies in mid-stream raises", async () => {
  const stream = await ask({ model: brokenModel, stream: true });
  let text = "";
  await assert.rejects(async () => {
    for await (const chunk of stream) text += chunk.choices[0]?.delta?.content ?? "";
  }, OpenAI.APIError);
  assert.ok("Hello from the canned upstream.".startsWith(text));
});

test("an engine that is killed in mid-stream raises, and the next request is served", async () => {
  const stream = await ask({ model: "slow", stream: true, max_completion_tokens: 3000, logit_bias: { [endOfTurn]: -100 } });
  let chunks = 0;
  await assert.rejects(async () => {
    for await (const chunk of stream) if (++chunks === 5) process.kill(Number(slowEngine), "SIGKILL");
  }, OpenAI.APIError);
  assert.ok(chunks >= 5 && chunks < 3000);
  const patient = new OpenAI({ baseURL, apiKey, maxRetries: 8 });
  assert.ok((await patient.chat.completions.create({ model: "slow", messages, max_completion_tokens: 2 })).id);
});

test("a request that is aborted", async () => {
  const controller = new AbortController();
  const pending = client.chat.completions.create({ model: "babble", messages, max_completion_tokens: 2000 }, { signal: controller.signal });
  setTimeout(() => controller.abort(), 20);
  await assert.rejects(pending, OpenAI.APIUserAbortError).catch((error) => {
    if (error.code !== "ERR_ASSERTION") throw error;          // it may have been quicker than we
  });
  assert.ok((await ask()).id);
});
