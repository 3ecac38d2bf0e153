"""Background jobs: sweeps in servers and in `hearth worker`, killed and stopped while they run, and `hearth jobs`."""
import contextlib
import json
import os
import pathlib
import signal
import sqlite3
import subprocess
import tempfile
import time
import unittest

from support import paths, postgres
from support.hearth import SANITIZER_REPORT, Hearth, eventually, upstream_model

MODELS = upstream_model("up", ["http://127.0.0.1:9/v1"])
QUICK = {"jobs.lease_time": "3s", "jobs.heartbeat": "500ms", "jobs.sweep_interval": "1h"}


def environment(database_url=None):
    variables = {key: value for key, value in os.environ.items() if not key.startswith("HEARTH_")}
    variables["ASAN_OPTIONS"] = "detect_leaks=1:exitcode=99:detect_stack_use_after_return=0"
    return variables | ({"HEARTH_DATABASE_URL": database_url} if database_url else {})


class Jobs:
    """`hearth jobs` on a data directory or a database."""

    def __init__(self, data, database_url=None):
        self.data, self.url = data, database_url

    def __call__(self, *arguments, status=0):
        done = subprocess.run([paths.BINARY, "jobs", *arguments, "--data", self.data], capture_output=True, text=True,
                              env=environment(self.url), timeout=60)
        assert not SANITIZER_REPORT.search(done.stderr), done.stderr
        assert done.returncode == status, done.stdout + done.stderr
        return done.stderr if status else done.stdout

    def list(self, *arguments):
        """A row per job, as a dictionary by heading."""
        heading, *rows = [line.split("  ") for line in self("list", *arguments).splitlines()]
        names = [name.strip() for name in heading if name.strip()]
        return [dict(zip(names, [cell.strip() for cell in row if cell.strip()])) for row in rows]

    def one(self, kind):
        return next((job for job in self.list("--kind", kind)), None)


class Worker:
    """`hearth worker` as a process; what it logs is JSON."""

    def __init__(self, folder, name, database_url, settings):
        self.log_path = pathlib.Path(folder) / f"{name}.log"
        command = [paths.BINARY, "worker", "--data", pathlib.Path(folder) / name, "--set", "log.format=json"]
        for key, value in settings.items():
            command += ["--set", f"{key}={value}"]
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen([str(part) for part in command], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            env=environment(database_url), start_new_session=True)

    def lines(self, event=None):
        found = []
        for line in self.log_path.read_text().splitlines():
            with contextlib.suppress(json.JSONDecodeError):
                found.append(json.loads(line))
        return [line for line in found if event in (None, line.get("event"))]

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(30)
        text = self.log_path.read_text()
        assert status == 0 and not SANITIZER_REPORT.search(text), f"{status}\n{text[-4000:]}"


class OnTheStore(unittest.TestCase):
    """A server on SQLite, and the command beside it."""

    @classmethod
    def setUpClass(cls):
        cls.server = Hearth(engine=False, models=MODELS, settings=QUICK | {"jobs.sweep_interval": "2s"}).start(wait="alive")
        cls.addClassCleanup(cls.server.__exit__, None)
        cls.jobs = Jobs(cls.server.data)

    def change(self, sql, *values):
        with contextlib.closing(sqlite3.connect(self.server.data / "hearth.db", timeout=10)) as database, database:
            return database.execute(sql, values).fetchall()

    def test_sweeps_run_again_and_again_in_one_row_each(self):
        organization = self.change("SELECT id FROM organizations")[0][0]
        for number in range(2):
            self.change("INSERT INTO one_time_links (token_hash, organization_id, purpose, subject, expires_at) VALUES (?, ?, 'invite', 'x', 1)",
                        f"old {number}", organization)
            eventually(lambda: not self.change("SELECT 1 FROM one_time_links"), 20, "the sweep")
        kinds = sorted(job["KIND"] for job in self.jobs.list())
        self.assertEqual(kinds, ["sweep_blobs", "sweep_invites", "sweep_jobs", "sweep_sessions"])

    def test_bytes_that_no_row_names_are_swept_after_a_day(self):
        folder = self.server.data / "blobs" / "AA"
        folder.mkdir()
        old, young = (folder / f"blob_{letter * 28}AA" for letter in "xy")
        for path in (old, young):
            path.write_bytes(b"of a request that failed")
        os.utime(old, (time.time() - 90_000,) * 2)
        eventually(lambda: not old.exists(), 20, "the sweep")
        self.assertTrue(young.exists())

    def test_metrics_show_depth_age_and_outcomes_by_kind(self):
        text = eventually(lambda: (body := self.server.get("/metrics").body.decode())
                          and 'hearth_job_attempts_total{kind="sweep_sessions",outcome="succeeded"}' in body and body, 20, "a first sweep")
        self.assertIn('hearth_jobs{kind="sweep_sessions",state="scheduled"}', text)
        self.assertIn('hearth_jobs_oldest_seconds{kind="sweep_sessions"}', text)
        self.assertIn('hearth_job_attempts_total{kind="sweep_sessions",outcome="failed"} 0', text)

    def test_the_command_shows_and_cancels_and_retries(self):
        self.change("INSERT INTO jobs (id, kind, input, priority, state, run_at, attempts, max_attempts, lease, cancel_requested, done, total, "
                    "progress, error, created_at, ended_at) VALUES ('job_bad', 'of another program', '{\"a\":1}', 0, 'failed', 1, 2, 2, 2, 0, 3, 9, '', "
                    "'it broke', 1, 2000000000000)")
        shown = self.jobs("show", "job_bad")
        for part in ("of another program", "2 of 2", "3/9", '{"a":1}', "it broke"):
            self.assertIn(part, shown)
        self.assertEqual([job["ID"] for job in self.jobs.list("--state", "failed")], ["job_bad"])
        self.assertIn("has ended", self.jobs("cancel", "job_bad", status=1))
        self.assertIn("job_bad is queued", self.jobs("retry", "job_bad"))
        self.assertIn("not one that failed", self.jobs("retry", "job_bad", status=1))
        self.assertIn("being cancelled", self.jobs("cancel", "job_bad"))
        eventually(lambda: self.jobs.list("--state", "cancelled"), 10, "the end of a job that no program knows")
        for command in ("show", "cancel", "retry"):
            self.assertIn("no job job_none", self.jobs(command, "job_none", status=1))
        self.assertIn("--state", self.jobs("list", "--state", "odd", status=2))


class OnTwoMachines(unittest.TestCase):
    """Workers on one PostgreSQL; deleting is slow there, so that a sweep is under way when something happens to its worker."""

    SESSIONS, BATCH = 10_000, 500

    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="hearth-jobs-")
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.database = postgres.Database(postgres.server_url())
        self.addCleanup(self.database.drop)
        server = Hearth(engine=False, models=MODELS, database=self.database.url, settings=QUICK | {"jobs.places": "0"})
        server.start(wait="alive")                                 # makes the tables, the tenant and the sweeps' rows; runs none
        eventually(lambda: self.sql("SELECT 1 FROM jobs WHERE kind = 'sweep_sessions'"), 20, "the sweeps' rows")
        server.stop()
        server.remove()
        self.jobs = Jobs(self.folder, self.database.url)
        self.sql("INSERT INTO users (id, organization_id, email, email_key, name, role, added_at, sequence) "
                 "SELECT 'user_1', id, 'a@b', 'a@b', 'A', 'reader', 1, 1 FROM organizations")
        self.sql("INSERT INTO sessions (token_hash, organization_id, user_id, created_at, expires_at) "
                 f"SELECT 'old ' || n, o.id, 'user_1', 1, 2 FROM organizations o, generate_series(1, {self.SESSIONS}) n")
        self.sql("CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(0.25); RETURN NULL; END'")
        self.sql("CREATE TRIGGER slow BEFORE DELETE ON sessions FOR EACH STATEMENT EXECUTE FUNCTION slow()")

    def sql(self, text):
        return postgres.run_sql(self.database.url, text).strip()

    def start(self, name, **settings):
        worker = Worker(self.folder, name, self.database.url, QUICK | settings)
        self.addCleanup(worker.kill)
        return worker

    def row(self):
        state, lease, attempts, done, holder = self.sql(
            "SELECT state, lease, attempts, done, COALESCE(worker, '-') FROM jobs WHERE kind = 'sweep_sessions'").split("\t")
        return {"state": state, "lease": int(lease), "attempts": int(attempts), "done": int(done), "worker": holder}

    def under_way(self):
        """The row, when a worker has done a part of the sweep."""
        return eventually(lambda: (row := self.row())["state"] == "running" and row["done"] > 0 and row, 60, "a sweep under way")

    def finished(self):
        row = eventually(lambda: (row := self.row())["state"] == "queued" and not self.sql("SELECT 1 FROM sessions LIMIT 1") and row, 90, "its end")
        # Counted in the transactions that deleted: nothing was done twice, and nothing forgotten.
        self.assertEqual(row["done"], self.SESSIONS)
        return row

    def test_what_a_killed_worker_held_goes_on_elsewhere_where_it_was(self):
        first = self.start("first")
        before = self.under_way()
        second = self.start("second")
        eventually(lambda: second.lines("working"), 20, "the second worker")
        first.kill()
        taken = eventually(lambda: (row := self.row())["lease"] > before["lease"] and row, 60, "the take-over")
        self.assertEqual(taken["lease"], before["lease"] + 1)
        self.assertNotEqual(taken["worker"], before["worker"])
        self.assertEqual(taken["attempts"], 2)
        self.assertGreaterEqual(taken["done"], before["done"])
        self.finished()
        self.assertTrue(second.lines("jobs.worker_buried"))
        started = [line for line in second.lines("job.started") if line["kind"] == "sweep_sessions"]
        self.assertEqual([(line["attempt"], line["request_id"]) for line in started], [(2, "")])
        self.assertTrue(started[0]["job"].startswith("job_"))
        second.stop()
        self.assertEqual(self.sql("SELECT COUNT(*) FROM job_workers"), "0")

    def test_a_worker_that_stands_still_and_comes_back_changes_nothing_any_more(self):
        first = self.start("first")
        before = self.under_way()
        first.process.send_signal(signal.SIGSTOP)
        second = self.start("second")
        eventually(lambda: self.row()["lease"] > before["lease"], 60, "the take-over")
        first.process.send_signal(signal.SIGCONT)
        self.finished()
        eventually(lambda: first.lines("jobs.leases_lost"), 20, "the first's notice")
        second.stop()
        first.stop()

    def test_a_worker_that_is_stopped_gives_back_at_once(self):
        settings = {"jobs.lease_time": "10m", "jobs.heartbeat": "1s"}
        first = self.start("first", **settings)
        before = self.under_way()
        second = self.start("second", **settings)
        eventually(lambda: second.lines("working"), 20, "the second worker")
        first.stop()
        taken = eventually(lambda: (row := self.row())["lease"] > before["lease"] and row, 30, "the other's claim")  # not ten minutes
        self.assertEqual(taken["attempts"], 1)
        self.finished()
        second.stop()

    def test_a_cancelled_sweep_stops_within_a_second(self):
        worker = self.start("first")
        self.under_way()
        job = self.jobs.one("sweep_sessions")["ID"]
        self.jobs("cancel", job)
        asked = time.monotonic()
        eventually(lambda: self.row()["state"] == "queued", 10, "the end")
        took = time.monotonic() - asked
        self.assertLess(took, 3)                                   # a second, and what a busy machine takes to look
        self.assertLess(self.row()["done"], self.SESSIONS)
        self.assertEqual([line["outcome"] for line in worker.lines("job.ended") if line["kind"] == "sweep_sessions"], ["cancelled"])
        worker.stop()


class Copied(unittest.TestCase):
    def test_a_running_job_of_the_source_is_taken_over_in_the_copy(self):
        with tempfile.TemporaryDirectory(prefix="hearth-jobs-") as folder, postgres.Database(postgres.server_url()) as target:
            server = Hearth(engine=False, models=MODELS, data=pathlib.Path(folder) / "data", settings=QUICK | {"jobs.places": "0"}).start(wait="alive")
            self.addCleanup(server.remove)
            file = server.data / "hearth.db"

            def run(sql):
                with contextlib.closing(sqlite3.connect(file, timeout=10)) as database, database:
                    return database.execute(sql).fetchall()
            eventually(lambda: run("SELECT 1 FROM jobs WHERE kind = 'sweep_jobs'"), 20, "the sweeps' rows")
            server.stop()
            run("INSERT INTO job_workers (id, beat, lease_time, host, started_at) VALUES ('worker_x', 1, 2000, 'there', 1)")
            run("UPDATE jobs SET state = 'running', worker = 'worker_x', lease = 7, attempts = 1 WHERE kind = 'sweep_jobs'")
            subprocess.run([paths.BINARY, "db", "copy", "--from", f"sqlite:{file}", "--to", target.url], check=True, capture_output=True,
                           env=environment(), timeout=120)
            worker = Worker(folder, "worker", target.url, QUICK)
            self.addCleanup(worker.kill)

            def lease():
                state, number = postgres.run_sql(target.url, "SELECT state, lease FROM jobs WHERE kind = 'sweep_jobs'").split()
                return state == "queued" and int(number)
            self.assertEqual(eventually(lambda: lease(), 30, "the take-over"), 8)
            worker.stop()


if __name__ == "__main__":
    unittest.main()
