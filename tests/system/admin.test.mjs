// The administration of the official Node SDK, unmodified, against the server that test_sdk_node.py started.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";
import OpenAI from "openai";

const { HEARTH_BASE_URL: baseURL, HEARTH_ADMIN_KEY: adminAPIKey, HEARTH_API_KEY: apiKey, HEARTH_CERTIFICATE: certificate } = process.env;
const client = new OpenAI({ baseURL, adminAPIKey, apiKey, maxRetries: 0, timeout: 60_000 });
const { organization } = client.admin;
const unique = `node-${process.pid}-${Date.now()}`;
const now = () => Math.floor(Date.now() / 1000);

async function collect(pages) {
  const items = [];
  for await (const item of pages) items.push(item);
  return items;
}
const rejects = (promise, kind, code) =>
  assert.rejects(promise, (error) => error instanceof kind && (code === undefined || error.code === code));

test("projects", async () => {
  const made = [];
  for (const number of [1, 2, 3]) made.push(await organization.projects.create({ name: `${unique} ${number}` }));
  assert.equal((await organization.projects.retrieve(made[0].id)).name, `${unique} 1`);
  assert.equal((await organization.projects.update(made[0].id, { name: `${unique} one` })).name, `${unique} one`);
  const listed = (await collect(organization.projects.list({ limit: 2 }))).map((project) => project.id);
  for (const project of made) assert.equal(listed.filter((id) => id === project.id).length, 1);
  assert.equal((await organization.projects.archive(made[2].id)).status, "archived");
  assert.ok(!(await collect(organization.projects.list())).some((project) => project.id === made[2].id));
  assert.ok((await collect(organization.projects.list({ include_archived: true }))).some((project) => project.id === made[2].id));
  await rejects(organization.projects.retrieve("proj_none"), OpenAI.NotFoundError);
});

test("a service account and its key, from its birth to its end", async () => {
  const project = await organization.projects.create({ name: unique });
  const { serviceAccounts, apiKeys } = organization.projects;
  const account = await serviceAccounts.create(project.id, { name: "ci" });
  assert.match(account.api_key.value, /^sk-svcacct-/);
  const own = new OpenAI({ baseURL, apiKey: account.api_key.value, maxRetries: 0 });
  assert.ok((await own.models.list()).data.length > 0);
  const reply = await own.chat.completions.create({ model: "babble", messages: [{ role: "user", content: "Hi" }], max_completion_tokens: 3 });
  assert.ok(reply.usage.total_tokens > 0);
  const [key] = await collect(apiKeys.list(project.id));
  assert.equal(key.id, account.api_key.id);
  assert.equal(key.owner.service_account.id, account.id);
  assert.ok(!JSON.stringify(key).includes(account.api_key.value));
  assert.equal((await apiKeys.retrieve(key.id, { project_id: project.id })).redacted_value, key.redacted_value);
  assert.equal((await serviceAccounts.retrieve(account.id, { project_id: project.id })).name, "ci");
  assert.deepEqual((await collect(serviceAccounts.list(project.id))).map((item) => item.id), [account.id]);

  // What it used is counted, once the recorder has written it.
  const query = { start_time: now() - 86_400, project_ids: [project.id], group_by: ["project_id", "model"] };
  let results = [];
  for (let attempt = 0; attempt < 50 && results.length === 0; ++attempt) {
    await new Promise((resolve) => setTimeout(resolve, 100));
    results = (await organization.usage.completions(query)).data.flatMap((bucket) => bucket.results);
  }
  assert.equal(results.length, 1);
  assert.equal(results[0].num_model_requests, 1);
  assert.equal(results[0].input_tokens, reply.usage.prompt_tokens);
  assert.equal(results[0].output_tokens, reply.usage.completion_tokens);

  assert.equal((await serviceAccounts.delete(account.id, { project_id: project.id })).deleted, true);
  await rejects(own.models.list(), OpenAI.AuthenticationError, "invalid_api_key");
});

test("admin keys", async () => {
  const made = await organization.adminAPIKeys.create({ name: unique });
  assert.match(made.value, /^sk-admin-/);
  const other = new OpenAI({ baseURL, adminAPIKey: made.value, maxRetries: 0 });
  assert.ok((await collect(other.admin.organization.adminAPIKeys.list())).some((key) => key.id === made.id && key.value === undefined));
  assert.equal((await organization.adminAPIKeys.retrieve(made.id)).name, unique);
  assert.equal((await organization.adminAPIKeys.delete(made.id)).deleted, true);
  await rejects(other.admin.organization.adminAPIKeys.retrieve(made.id), OpenAI.AuthenticationError, "invalid_api_key");
});

test("invitations and users", async () => {
  const email = `${unique}@example.com`;
  const invite = await organization.invites.create({ email, role: "reader" });
  assert.equal(invite.status, "pending");
  assert.equal((await organization.invites.retrieve(invite.id)).email, email);
  assert.ok((await collect(organization.invites.list({ limit: 1 }))).some((item) => item.id === invite.id));
  assert.equal((await organization.invites.delete(invite.id)).deleted, true);
  await rejects(organization.invites.retrieve(invite.id), OpenAI.NotFoundError);
  for (const user of await collect(organization.users.list({ limit: 1 }))) assert.equal(user.object, "organization.user");
  await rejects(organization.users.retrieve("user-none"), OpenAI.NotFoundError);
});

test("limits of a project", async () => {
  const project = await organization.projects.create({ name: unique });
  const { rateLimits } = organization.projects;
  const limit = (await collect(rateLimits.listRateLimits(project.id))).find((item) => item.model === "babble");
  const changed = await rateLimits.updateRateLimit(limit.id, { project_id: project.id, max_requests_per_1_minute: 7 });
  assert.equal(changed.max_requests_per_1_minute, 7);
  assert.equal(changed.max_tokens_per_1_minute, limit.max_tokens_per_1_minute);
});

test("certificates", async () => {
  const content = readFileSync(certificate, "utf8");
  const made = await organization.certificates.create({ name: unique, certificate: content });
  assert.equal((await organization.certificates.retrieve(made.id, { include: ["content"] })).certificate_details.content.trim(), content.trim());
  assert.equal((await organization.certificates.update(made.id, { name: `${unique} again` })).name, `${unique} again`);
  const project = await organization.projects.create({ name: unique });
  const activated = await collect(organization.projects.certificates.activate(project.id, { certificate_ids: [made.id] }));
  assert.deepEqual(activated.map((item) => [item.id, item.active]), [[made.id, true]]);
  await rejects(organization.certificates.delete(made.id), OpenAI.BadRequestError);
  await collect(organization.projects.certificates.deactivate(project.id, { certificate_ids: [made.id] }));
  assert.ok((await collect(organization.certificates.list())).some((item) => item.id === made.id));
  await organization.certificates.delete(made.id);
});

test("the audit log tells of it", async () => {
  const project = await organization.projects.create({ name: unique });
  const events = await collect(organization.auditLogs.list({ resource_ids: [project.id] }));
  assert.deepEqual(events.map((event) => event.type), ["project.created"]);
  assert.equal(events[0]["project.created"].id, project.id);
  assert.equal(events[0].actor.type, "api_key");
  const types = new Set((await collect(organization.auditLogs.list({ event_types: ["service_account.created"], limit: 2 }))).map((event) => event.type));
  assert.deepEqual([...types], ["service_account.created"]);
});

test("usage and costs of every kind answer", async () => {
  const query = { start_time: now() - 3 * 86_400, bucket_width: "1d", limit: 2 };
  for (const kind of ["completions", "embeddings", "moderations", "images", "audioSpeeches", "audioTranscriptions", "vectorStores", "codeInterpreterSessions"]) {
    const page = await organization.usage[kind](query);
    assert.equal(page.object, "page", kind);
    assert.equal(page.data.length, 2, kind);
    assert.equal(page.has_more, true, kind);
    assert.ok((await organization.usage[kind]({ ...query, page: page.next_page })).data.length > 0, kind);
  }
  assert.equal((await organization.usage.costs({ start_time: now() - 86_400 })).object, "page");
});

test("keys of the wrong kind are refused", async () => {
  const asProject = new OpenAI({ baseURL, adminAPIKey: apiKey, maxRetries: 0 });
  await rejects(asProject.admin.organization.projects.create({ name: "x" }), OpenAI.PermissionDeniedError, "missing_scope");
  const asAdmin = new OpenAI({ baseURL, apiKey: adminAPIKey, maxRetries: 0 });
  await rejects(asAdmin.models.list(), OpenAI.PermissionDeniedError, "missing_scope");
});
