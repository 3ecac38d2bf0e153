"""hearth db copy: an installation moves from SQLite to PostgreSQL and back, and is the same."""
import contextlib
import os
import pathlib
import re
import sqlite3
import subprocess
import tempfile
import time
import unittest

from support import certificates, paths, postgres, tenants
from support.browser import Browser
from support.hearth import SANITIZER_REPORT, Hearth, chat, upstream_model
from support.upstream import CannedUpstream


PASSWORD = "correct horse battery"


class DbCopy(unittest.TestCase):
    def setUp(self):
        self.began = int(time.time())
        folder = tempfile.TemporaryDirectory(prefix="hearth-copy-")
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        upstream = CannedUpstream()
        self.addCleanup(upstream.close)
        self.models = upstream_model("up", [upstream.base_url], price_input=100.0, price_output=1000.0)

    def copy(self, source, target, status=0):
        environment = {key: value for key, value in os.environ.items() if not key.startswith("HEARTH_")}
        done = subprocess.run([paths.BINARY, "db", "copy", "--from", source, "--to", target], capture_output=True, text=True,
                              env=environment | {"ASAN_OPTIONS": "detect_leaks=1:exitcode=99"}, timeout=120)
        self.assertIsNone(SANITIZER_REPORT.search(done.stderr), done.stderr)
        self.assertEqual(done.returncode, status, done.stdout + done.stderr)
        return done.stdout + done.stderr

    def admin(self, server, *arguments, given=""):
        environment = {key: value for key, value in os.environ.items() if not key.startswith("HEARTH_")}
        if server.database_url:
            environment["HEARTH_DATABASE_URL"] = server.database_url
        command = [paths.BINARY, "admin", *arguments, "--data", server.data, "--set", f"server.listen={server.listen}"]
        done = subprocess.run(list(map(str, command)), capture_output=True, text=True, env=environment, timeout=60, input=given)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return done.stdout.strip()

    def fill(self, server, name):
        """Something into every table. What look() shows then, and (email, secret, browser) of a person who is let in by each."""
        for number in range(40):
            reply = server.post("/v1/chat/completions", chat(f"Hi {number} \0 \u00e9", "up", store=True,
                                                             metadata={"number": str(number), "nul": "\0\x01"}))
            self.assertEqual(reply.status, 200, reply.body)
        self.assertEqual(server.post("/v1/embeddings", {"model": "up", "input": "Hi"}).status, 200)
        project, _, _ = tenants.add_project(server, f"Of {name}")
        invited, joined, person = (f"{kind}-{name}@example.org" for kind in ("invited", "joined", "person"))
        for email in (invited, joined):
            tenants.administer(server, "POST", "/invites", {"email": email, "role": "reader", "projects": [{"id": project, "role": "member"}]})
        self.admin(server, "invite-link", invited)
        self.admin(server, "accept-invite", joined, "--name", "J\u00f6rg", "--password-stdin", given=PASSWORD)
        self.admin(server, "add-user", person, "--role", "owner", "--project", f"{project}:owner", "--password-stdin", given=PASSWORD)
        secret = self.admin(server, "mint-key", "--project", project, "--name", "Laptop", "--user", person)
        self.admin(server, "budget", project, "12.5")
        browser = Browser(server.target)
        self.assertEqual(browser.submit("/login", {"email": person, "password": PASSWORD}).status, 200)
        authorities = [certificates.authority(self.folder, f"{name}-{number}").text for number in range(2)]
        ids = [tenants.administer(server, "POST", "/certificates", {"name": name, "content": text})["id"] for text in authorities]
        closed, _, _ = tenants.add_project(server, f"Closed, of {name}")
        tenants.administer(server, "POST", f"/projects/{closed}/certificates/activate", {"certificate_ids": ids[:1]})
        tenants.archive(server, closed)
        tenants.administer(server, "POST", f"/projects/{project}/rate_limits/rl-up", {"max_requests_per_1_minute": 77})
        # Neither the API nor the command line puts anything into these tables yet, or keeps it there.
        tenants.change(server, "INSERT INTO job_workers (id, beat, lease_time, host, started_at) VALUES (?, 1, 999999999999, 'there', 1)",
                       (f"worker_{name}",))
        tenants.change(server, "INSERT INTO event_streams (id, last_sequence, ended, created_at) VALUES (?, 1, 0, 1)", (f"stream_{name}",))
        tenants.change(server, "INSERT INTO stream_events (stream_id, sequence, type, data) VALUES (?, 1, 'x', '{}')", (f"stream_{name}",))
        tenants.add_fine_tuned_model(server, f"zz-ft:up:{name}", paths.chat_model())
        tenants.change(server, "INSERT INTO model_aliases (name, target) VALUES (?, 'up')", (f"nick-{name}",))
        tenants.change(server, "INSERT INTO vector_store_bytes (organization_id, project_id, changed_at, bytes) VALUES (?, ?, ?, 4096)",
                       (server.keys["organization_id"], project, self.began))
        return self.look(server), (person, secret, browser)

    def look(self, server):
        """What the API shows of it all."""
        listed = server.get("/v1/chat/completions?limit=100").json()
        messages = [server.get(f"/v1/chat/completions/{item['id']}/messages").json() for item in listed["data"]]
        when = f"start_time={self.began - 86_400}&end_time={self.began + 86_400}&limit=7"
        names = ["users", "invites", "certificates", "audit_logs", "projects"]
        seen = {name: tenants.administer(server, "GET", f"/{name}?limit=100" + "&include_archived=true" * (name == "projects")) for name in names}
        for kind in ("usage/completions", "usage/embeddings", "usage/vector_stores", "costs"):
            seen[kind] = tenants.administer(server, "GET", f"/{kind}?{when}&group_by=project_id")
            self.assertTrue([result for bucket in seen[kind]["data"] for result in bucket["results"]], kind)
        for project in seen["projects"]["data"]:
            inside = ["certificates"] + ["users", "service_accounts"] * (project["status"] == "active")
            seen[project["id"]] = [tenants.administer(server, "GET", f"/projects/{project['id']}/{name}") for name in inside]
            limits = tenants.administer(server, "GET", f"/projects/{project['id']}/rate_limits")["data"]
            # A server learns of models that another wrote when it starts.
            seen[project["id"]].append([limit for limit in limits if limit["id"] == "rl-up"])
        for name in names:
            self.assertFalse(seen[name]["has_more"], name)
        return listed, messages, server.keys["organization_id"], seen

    def lets_in(self, server, person, secret, browser):
        """A session goes on, a password and a key still open."""
        browser.target, browser.own_headers = server.target, {"origin": f"http://{server.listen}"}
        self.assertIn(person, browser.get("/account").text)
        self.assertEqual(server.get("/v1/models", headers={"authorization": f"Bearer {secret}"}).status, 200)
        self.assertEqual(Browser(server.target).submit("/login", {"email": person, "password": PASSWORD}).status, 200)

    @staticmethod
    def tables(data):
        """{table: its rows} of an SQLite database."""
        with contextlib.closing(sqlite3.connect(data / "hearth.db")) as database:
            names = [name for (name,) in database.execute("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%'")]
            return {name: database.execute(f"SELECT COUNT(*) FROM {name}").fetchone()[0] for name in names if name != "schema_migrations"}

    def check_counts(self, printed, counts):
        """Rows in every table, and what was said of them is so."""
        self.assertEqual([name for name, count in counts.items() if not count], [], "fill() puts nothing there")
        self.assertEqual({name: int(count) for name, count in re.findall(r"(?m)^(\w+) +(\d+) +[0-9a-f]{64}$", printed)}, counts)

    @staticmethod
    def postgres_counts(url, names):
        return {name: int(postgres.run_sql(url, f"SELECT COUNT(*) FROM {name}")) for name in names}

    def test_there_and_back(self):
        data, back = self.folder / "data", self.folder / "back"
        back.mkdir()
        with postgres.Database(postgres.server_url()) as database:
            server = Hearth(models=self.models, data=data).start()
            (seen, person), keys = self.fill(server, "sqlite"), server.keys
            self.assertIn("stop it first", self.copy(f"sqlite:{data}/hearth.db", database.url, 1))
            server.__exit__(None)

            printed = self.copy(f"sqlite:{data}/hearth.db", database.url)
            self.assertRegex(printed, r"(?m)^chat_completions +40 +[0-9a-f]{64}$")
            self.assertRegex(printed, r"(?m)^\d+ rows of \d+ tables copied and verified$")
            counts = self.tables(data)
            self.check_counts(printed, counts)
            self.assertEqual(self.postgres_counts(database.url, counts), counts)
            self.assertIn("not empty", self.copy(f"sqlite:{data}/hearth.db", database.url, 1))

            with Hearth(models=self.models, database=database.url) as moved:
                self.assertFalse(moved.bootstrap_path.exists(), "it was made once already")
                moved.keys = keys
                self.assertEqual(self.look(moved), seen)
                self.lets_in(moved, *person)
                self.assertIn("zz-ft:up:sqlite", [model["id"] for model in moved.get("/v1/models").json()["data"]])
                after, another = self.fill(moved, "postgres")    # and it goes on: sequences continue
                events = [event["id"] for event in after[3]["audit_logs"]["data"]]
                self.assertEqual(events[-len(seen[3]["audit_logs"]["data"]):], [event["id"] for event in seen[3]["audit_logs"]["data"]])
                self.assertEqual(len(set(events)), len(events))
                for name in ("users", "invites"):
                    before = [item["id"] for item in seen[3][name]["data"]]
                    self.assertEqual([item["id"] for item in after[3][name]["data"]][:len(before)], before, name)
                self.assertEqual(len(after[0]["data"]), 80)
                self.assertIn("stop it first", self.copy(database.url, f"sqlite:{back}/hearth.db", 1))

            printed = self.copy(database.url, f"sqlite:{back}/hearth.db")
            self.assertIn(" 80 ", printed)
            self.check_counts(printed, self.tables(back))
            self.assertEqual(self.postgres_counts(database.url, counts), self.tables(back))
            with Hearth(models=self.models, data=back) as returned:
                returned.keys = keys
                self.assertEqual(self.look(returned), after)
                for somebody in (person, another):
                    self.lets_in(returned, *somebody)

    def test_every_table_is_copied(self):
        data = self.folder / "data"
        with Hearth(models=self.models, data=data) as server:
            self.fill(server, "once")
        copied = self.folder / "copied.db"
        printed = self.copy(f"sqlite:{data}/hearth.db", f"sqlite:{copied}")
        self.assertEqual(copied.stat().st_mode & 0o777, 0o600)
        self.check_counts(printed, self.tables(data))

    def test_what_cannot_be_copied_is_refused(self):
        empty, foreign, old = self.folder / "empty.db", self.folder / "foreign.db", self.folder / "old.db"
        sqlite3.connect(foreign).execute("CREATE TABLE t (id TEXT PRIMARY KEY)")
        database = sqlite3.connect(old)
        database.executescript("CREATE TABLE schema_migrations (version INTEGER PRIMARY KEY, name TEXT, applied_at BIGINT);"
                               "INSERT INTO schema_migrations VALUES (1, 'foundation', 1)")
        database.close()
        self.assertIn("there is no file", self.copy(f"sqlite:{self.folder}/none.db", f"sqlite:{empty}", 1))
        self.assertIn("not the database of a Hearth", self.copy(f"sqlite:{foreign}", f"sqlite:{empty}", 1))
        self.assertIn("schema version 1", self.copy(f"sqlite:{old}", f"sqlite:{empty}", 1))
        self.assertIn("same file", self.copy(f"sqlite:{old}", f"sqlite:{self.folder}/../{self.folder.name}/old.db", 1))
        self.assertIn("--from", self.copy("mysql://h/d", f"sqlite:{empty}", 2))
        refused = self.copy(f"sqlite:{old}", "postgresql://u:open/sesame@h/d", 2)
        self.assertIn("percent-encoded", refused)
        self.assertNotIn("sesame", refused)


if __name__ == "__main__":
    unittest.main()
