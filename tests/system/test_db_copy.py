"""hearth db copy: an installation moves from SQLite to PostgreSQL and back, and is the same."""
import os
import pathlib
import re
import sqlite3
import subprocess
import tempfile
import unittest

from support import paths, postgres, tenants
from support.hearth import SANITIZER_REPORT, Hearth, chat, upstream_model
from support.upstream import CannedUpstream


class DbCopy(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="hearth-copy-")
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        upstream = CannedUpstream()
        self.addCleanup(upstream.close)
        self.models = upstream_model("up", [upstream.base_url])

    def copy(self, source, target, status=0):
        environment = {key: value for key, value in os.environ.items() if not key.startswith("HEARTH_")}
        done = subprocess.run([paths.BINARY, "db", "copy", "--from", source, "--to", target], capture_output=True, text=True,
                              env=environment | {"ASAN_OPTIONS": "detect_leaks=1:exitcode=99"}, timeout=120)
        self.assertIsNone(SANITIZER_REPORT.search(done.stderr), done.stderr)
        self.assertEqual(done.returncode, status, done.stdout + done.stderr)
        return done.stdout + done.stderr

    def fill(self, server):
        tenants.add_project(server)
        for number in range(40):
            reply = server.post("/v1/chat/completions", chat(f"Hi {number} \0 \u00e9", "up", store=True,
                                                             metadata={"number": str(number), "nul": "\0\x01"}))
            self.assertEqual(reply.status, 200, reply.body)
        return self.look(server)

    @staticmethod
    def look(server):
        listed = server.get("/v1/chat/completions?limit=100").json()
        messages = [server.get(f"/v1/chat/completions/{item['id']}/messages").json() for item in listed["data"]]
        return listed, messages, server.keys["organization_id"]

    def test_there_and_back(self):
        data, back = self.folder / "data", self.folder / "back"
        back.mkdir()
        with postgres.Database(postgres.server_url()) as database:
            server = Hearth(models=self.models, data=data).start()
            seen, keys = self.fill(server), server.keys
            self.assertIn("stop it first", self.copy(f"sqlite:{data}/hearth.db", database.url, 1))
            server.__exit__(None)

            printed = self.copy(f"sqlite:{data}/hearth.db", database.url)
            self.assertRegex(printed, r"(?m)^chat_completions +40 +[0-9a-f]{64}$")
            self.assertRegex(printed, r"(?m)^\d+ rows of \d+ tables copied and verified$")
            self.assertIn("not empty", self.copy(f"sqlite:{data}/hearth.db", database.url, 1))

            with Hearth(models=self.models, database=database.url) as moved:
                self.assertFalse(moved.bootstrap_path.exists(), "it was made once already")
                moved.keys = keys
                self.assertEqual(self.look(moved), seen)
                after = self.fill(moved)                         # and it goes on: sequences continue
                self.assertEqual(len(after[0]["data"]), 80)
                self.assertIn("stop it first", self.copy(database.url, f"sqlite:{back}/hearth.db", 1))

            self.assertIn(" 80 ", self.copy(database.url, f"sqlite:{back}/hearth.db"))
            with Hearth(models=self.models, data=back) as returned:
                returned.keys = keys
                self.assertEqual(self.look(returned), after)

    def test_every_table_is_copied(self):
        data = self.folder / "data"
        with Hearth(models=self.models, data=data) as server:
            self.fill(server)
        copied = self.folder / "copied.db"
        printed = self.copy(f"sqlite:{data}/hearth.db", f"sqlite:{copied}")
        self.assertEqual(copied.stat().st_mode & 0o777, 0o600)
        with sqlite3.connect(data / "hearth.db") as database:
            tables = {name for (name,) in database.execute("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%'")}
        self.assertEqual(tables - {"schema_migrations"}, set(re.findall(r"(?m)^(\w+) +\d+ +[0-9a-f]{64}$", printed)))

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
