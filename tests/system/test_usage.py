"""What requests used and what it cost: counted however they end, there after kill -9, refused when the budget is spent."""
import sqlite3
import time
import unittest

from support import tenants
from support.hearth import Hearth, chat, eventually, upstream_model
from support.upstream import CannedUpstream

DAY = 86_400
NULLS = {"project_id": None, "user_id": None, "api_key_id": None, "model": None}
PRICES = {"price_input": 100.0, "price_output": 1000.0}         # a chat with the canned upstream: 5 in, 6 out
CHAT_COST = (5 * 100 + 6 * 1000) / 1e6


def admin(server):
    return {"authorization": f"Bearer {server.keys['admin_key']}"}


def results(server, kind="completions", query="", width="1d"):
    """All results from yesterday until now."""
    path = "costs" if kind == "costs" else f"usage/{kind}"
    reply = server.get(f"/v1/organization/{path}?start_time={int(time.time()) - DAY}&bucket_width={width}{query}", headers=admin(server))
    assert reply.status == 200, reply.body
    return [result for bucket in reply.json()["data"] for result in bucket["results"]]


def counts(server, kind="completions", query=""):
    found = results(server, kind, query)
    return {name: sum(result[name] for result in found) for name in ("num_model_requests", "input_tokens", "output_tokens")
            if kind != "embeddings" or name != "output_tokens"}


class Counted(unittest.TestCase):
    database = "sqlite"

    @classmethod
    def setUpClass(cls):
        cls.upstream = CannedUpstream()
        cls.addClassCleanup(cls.upstream.close)
        cls.server = Hearth(engine=False, models=upstream_model("up", [cls.upstream.base_url], aliases=["other"], **PRICES),
                            database=cls.database).start()
        cls.addClassCleanup(cls.server.__exit__, None)

    def setUp(self):
        self.upstream.fault = None
        self.project, secret, _ = tenants.add_project(self.server)
        self.headers = {"authorization": f"Bearer {secret}"}
        self.mine = f"&project_ids={self.project}"

    def ask(self, path="/v1/chat/completions", body=None, **more):
        return self.server.post(path, body or chat(**{"text": "Hi", "model": "up"} | more), headers=self.headers)

    def await_requests(self, count, kind="completions"):
        eventually(lambda: counts(self.server, kind, self.mine).get("num_model_requests") == count, 10, f"usage of {count} requests")

    def test_replies_and_streams_are_counted_alike(self):
        self.assertEqual(self.ask().status, 200)
        self.assertEqual(self.ask(model="other").status, 200)
        self.assertEqual(self.ask(stream=True).status, 200)
        self.assertEqual(self.ask("/v1/completions", {"model": "up", "prompt": "Hi"}).status, 200)
        self.await_requests(4)
        self.assertEqual(results(self.server, query=self.mine), [
            {"object": "organization.usage.completions.result", "input_tokens": 20, "input_cached_tokens": 0, "output_tokens": 24,
             "input_audio_tokens": 0, "output_audio_tokens": 0, "num_model_requests": 4, "batch": None, **NULLS}])
        every = results(self.server, query=self.mine + "".join(f"&group_by={name}" for name in [*NULLS, "batch"]) + "&limit=25", width="1h")
        self.assertEqual(len(every), 1)
        key = every[0]["api_key_id"]
        keys = self.server.get(f"/v1/organization/projects/{self.project}/api_keys", headers=admin(self.server)).json()["data"]
        self.assertEqual([one["id"] for one in keys], [key])
        self.assertEqual({name: every[0][name] for name in [*NULLS, "batch", "num_model_requests"]},
                         {"project_id": self.project, "user_id": None, "api_key_id": key, "model": "up", "batch": False,
                          "num_model_requests": 4}, "the model under its own name, whatever alias was asked for")
        for query, expected in ((f"&api_key_ids={key}", 4), ("&models=up", 4), ("&batch=false", 4), ("&models=other", 0),
                                ("&batch=true", 0), ("&user_ids=nobody", 0), (f"&models=other&models=up&api_key_ids={key}", 4)):
            self.assertEqual(counts(self.server, query=self.mine + query)["num_model_requests"], expected, query)

    def test_embeddings(self):
        self.assertEqual(self.ask("/v1/embeddings", {"model": "up", "input": ["a", "b"]}).status, 200)
        self.await_requests(1, "embeddings")
        self.assertEqual(results(self.server, "embeddings", self.mine + "&group_by=model"), [
            {"object": "organization.usage.embeddings.result", "input_tokens": 6, "num_model_requests": 1, **NULLS, "model": "up"}])
        self.assertEqual(counts(self.server, query=self.mine)["num_model_requests"], 0, "they are no completions")

    def test_costs_by_project_and_line_item(self):
        for _ in range(3):
            self.assertEqual(self.ask().status, 200)
        self.await_requests(3)
        total, = results(self.server, "costs", self.mine)
        self.assertEqual((total["object"], total["amount"]["currency"], total["project_id"], total["line_item"]),
                         ("organization.costs.result", "usd", None, None))
        self.assertAlmostEqual(total["amount"]["value"], 3 * CHAT_COST, 12)
        items = results(self.server, "costs", self.mine + "&group_by=line_item&group_by=project_id")
        self.assertEqual([(item["line_item"], item["project_id"]) for item in items],
                         [("up, input", self.project), ("up, output", self.project)])
        self.assertAlmostEqual(items[0]["amount"]["value"], 15 * 100 / 1e6, 12)

    def test_a_stream_that_its_client_leaves(self):
        self.upstream.fault = "slow"
        connection = self.server.connect()
        body = chat("word " * 40, "up", stream=True)
        connection.send(connection.request_bytes("POST", "/v1/chat/completions", body, self.server.headers(self.headers)))
        connection.read_head()
        time.sleep(0.7)
        connection.close()
        self.await_requests(1)
        found = counts(self.server, query=self.mine)
        self.assertTrue(1 <= found["output_tokens"] <= 6, found)
        self.assertGreaterEqual(found["input_tokens"], 50, "the prompt is estimated")

    def test_what_failed_used_nothing(self):
        for fault in ("status_500", "status_400", "refuse", "garbage"):
            self.upstream.fault = fault
            self.assertGreaterEqual(self.ask().status, 400, fault)
        self.upstream.fault = None
        self.assertEqual(self.ask(model="nothing").status, 404)
        self.assertEqual(self.ask(n=0).status, 400)
        self.assertEqual(self.ask().status, 200)
        self.await_requests(1)
        time.sleep(0.3)
        self.assertEqual(counts(self.server, query=self.mine), {"num_model_requests": 1, "input_tokens": 5, "output_tokens": 6})

    def test_kinds_that_nothing_produces_yet_are_reported(self):
        organization, now = self.server.keys["organization_id"], int(time.time())
        statements = []
        for number, (kind, source, size) in enumerate((("moderations", "", ""), ("images", "image.edit", "256x256"), ("audio_speeches", "", ""),
                                                       ("audio_transcriptions", "", ""), ("code_interpreter_sessions", "", ""))):
            series = 1_000_000 + number
            statements.append(("INSERT INTO usage_series VALUES (?, ?, ?, ?, ?, 'user-1', 'key_1', 'm', 'false', ?, ?)",
                               (series, series, organization, kind, self.project, source, size)))
            statements.append(("INSERT INTO usage_days VALUES (?, ?, ?, 2, 30, 0, 0, 0, 0, 4, 500, 60, 7)", (series, now - now % DAY, series)))
        statements.append(("INSERT INTO vector_store_bytes VALUES (?, ?, ?, 4096)", (organization, self.project, now - now % DAY)))
        tenants.change_all(self.server, statements)
        groups = self.mine + "&group_by=project_id&group_by=user_id&group_by=api_key_id&group_by=model"
        who = {"project_id": self.project, "user_id": "user-1", "api_key_id": "key_1", "model": "m", "num_model_requests": 2}

        def kind_is(kind, query, expected):
            self.assertEqual(results(self.server, kind, query), [{"object": f"organization.usage.{kind}.result"} | expected], kind)
        kind_is("moderations", groups, who | {"input_tokens": 30})
        kind_is("audio_speeches", groups, who | {"characters": 500})
        kind_is("audio_transcriptions", groups, who | {"seconds": 60})
        kind_is("images", groups + "&group_by=size&group_by=source", who | {"images": 4, "source": "image.edit", "size": "256x256"})
        kind_is("images", self.mine + "&sizes=256x256&sources=image.edit",
                NULLS | {"images": 4, "num_model_requests": 2, "source": None, "size": None})
        self.assertEqual(results(self.server, "images", self.mine + "&sizes=512x512"), [])
        kind_is("code_interpreter_sessions", self.mine + "&group_by=project_id", {"num_sessions": 7, "project_id": self.project})
        kind_is("code_interpreter_sessions", self.mine, {"num_sessions": 7, "project_id": None})
        kind_is("vector_stores", self.mine + "&group_by=project_id", {"usage_bytes": 4096, "project_id": self.project})
        kind_is("vector_stores", self.mine, {"usage_bytes": 4096, "project_id": None})


class Durable(unittest.TestCase):
    database = "sqlite"

    def test_what_ended_200_ms_before_kill_9_is_counted(self):
        with CannedUpstream() as upstream, Hearth(engine=False, models=upstream_model("up", [upstream.base_url], **PRICES),
                                                  database=self.database).start() as server:
            asked = 0
            for how in ("kill", "kill", "stop"):
                for stream in (False, True, False):
                    self.assertEqual(server.post("/v1/chat/completions", chat("Hi", "up", stream=stream)).status, 200)
                    asked += 1
                if how == "kill":
                    time.sleep(0.2)
                server.restart(how)
                self.assertEqual(counts(server), {"num_model_requests": asked, "input_tokens": 5 * asked, "output_tokens": 6 * asked}, how)
            total, = results(server, "costs")
            self.assertAlmostEqual(total["amount"]["value"], asked * CHAT_COST, 12)

    def test_usage_that_cannot_be_written_at_the_end_keeps_nothing_else_from_the_disk(self):
        with CannedUpstream() as upstream, Hearth(engine=False, models=upstream_model("up", [upstream.base_url])).start() as server:
            def on_database(statement):
                with sqlite3.connect(server.data / "hearth.db", timeout=10) as database:
                    return database.execute(statement).fetchall()
            on_database("ALTER TABLE usage_writers RENAME TO hidden")
            self.assertEqual(server.post("/v1/chat/completions", chat("Hi", "up")).status, 200)
            began = time.monotonic()
            server.stop()                                            # with the status 0
            self.assertTrue(1.9 < time.monotonic() - began < 10, "it is tried for a while, not for ever")
            self.assertIn("usage is lost", server.log_path.read_text())
            self.assertEqual(on_database("SELECT COUNT(*) FROM api_keys WHERE last_used_at IS NOT NULL"), [(1,)])
            on_database("ALTER TABLE hidden RENAME TO usage_writers")
            server.start()

    def test_nothing_is_written_while_nobody_asks(self):
        with CannedUpstream() as upstream, Hearth(engine=False, models=upstream_model("up", [upstream.base_url])).start() as server:
            self.assertEqual(server.post("/v1/chat/completions", chat("Hi", "up")).status, 200)
            time.sleep(0.5)
            files = [server.data / name for name in ("hearth.db", "hearth.db-wal")]
            before = [path.stat().st_mtime_ns for path in files]
            time.sleep(1)
            self.assertEqual([path.stat().st_mtime_ns for path in files], before)


class Budgets(unittest.TestCase):
    database = "sqlite"

    def check_refusal(self, reply):
        self.assertEqual(reply.status, 429)
        self.assertEqual((reply.error["type"], reply.error["code"], reply.error["param"]), ("insufficient_quota", "insufficient_quota", None))
        self.assertIn("budget", reply.error["message"])
        self.assertEqual(reply.header("x-should-retry"), "false")
        self.assertIsNone(reply.header("retry-after"))

    def test_a_spent_budget_refuses_until_it_is_raised(self):
        budget = CHAT_COST * 2.5
        with CannedUpstream() as upstream, Hearth(engine=False, models=upstream_model("up", [upstream.base_url], **PRICES),
                                                  config=f"[limits]\nmonthly_budget = {budget:.6f}\n", database=self.database).start() as server:
            ask = lambda: server.post("/v1/chat/completions", chat("Hi", "up"))
            self.assertEqual([ask().status for _ in range(4)], [200, 200, 200, 429], "the third overdraws it")
            for path, body in (("/v1/chat/completions", chat("Hi", "up")), ("/v1/chat/completions", chat("Hi", "up", stream=True)),
                               ("/v1/completions", {"model": "up", "prompt": "Hi"}), ("/v1/embeddings", {"model": "up", "input": "Hi"})):
                self.check_refusal(server.post(path, body))
            self.assertEqual(server.get("/v1/models").status, 200, "what costs nothing goes on")
            time.sleep(0.2)
            server.restart("kill")
            asked = len(upstream.inference_requests())
            self.check_refusal(ask())
            self.assertEqual(len(upstream.inference_requests()), asked)
            _, other, _ = tenants.add_project(server)
            self.assertEqual(server.post("/v1/chat/completions", chat("Hi", "up"), headers={"authorization": f"Bearer {other}"}).status, 200,
                             "budgets are the projects' own")
            for amount, status in ((10**12, 200), (0, 429), (None, 200)):
                tenants.change_all(server, [
                    ("INSERT INTO project_budgets VALUES (?, ?, ?, 1) ON CONFLICT (project_id) DO UPDATE SET amount = excluded.amount",
                     (server.keys["project_id"], server.keys["organization_id"], amount)), ("UPDATE access_epochs SET value = value + 1", ())])
                within = 1.0 if server.database_url else 0          # there, a notice tells of it
                eventually(lambda: ask().status == status, within, f"{status} with a budget of {amount}")

    def test_replicas_see_what_the_other_spends(self):
        with CannedUpstream() as upstream:
            models = upstream_model("up", [upstream.base_url], **PRICES)
            config = f"[limits]\nmonthly_budget = {CHAT_COST * 1.5:.6f}\n"
            with Hearth(engine=False, models=models, config=config, database=self.database).start() as first, \
                    Hearth(engine=False, models=models, config=config,
                           **({"database": first.database_url} if first.database_url else {"data": first.data})) as second:
                second.keys = first.keys
                body = chat("Hi", "up")
                self.assertEqual([server.post("/v1/chat/completions", body).status for server in (first, first)], [200, 200])
                time.sleep(1)
                self.check_refusal(second.post("/v1/chat/completions", body))


class CountedOnPostgres(Counted):
    database = "postgres"


class DurableOnPostgres(Durable):
    database = "postgres"

    test_nothing_is_written_while_nobody_asks = None            # these look at the files of SQLite
    test_usage_that_cannot_be_written_at_the_end_keeps_nothing_else_from_the_disk = None


class BudgetsOnPostgres(Budgets):
    database = "postgres"


if __name__ == "__main__":
    unittest.main()
