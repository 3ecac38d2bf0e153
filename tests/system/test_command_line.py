"""hearth config, hearth models and the rest of the command line."""
import os
import pathlib
import subprocess
import tempfile
import unittest

from support import paths
from support.download_server import DownloadServer
from support.hearth import SANITIZER_REPORT, Hearth, chat, eventually, upstream_model
from support.upstream import CannedUpstream


class CommandLine(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="hearth-cli-")
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.data = self.folder / "data"

    def hearth(self, *arguments, environment=None, timeout=60):
        variables = {key: value for key, value in os.environ.items() if not key.startswith("HEARTH_")}
        variables |= {"ASAN_OPTIONS": "detect_leaks=1:exitcode=99"} | (environment or {})
        done = subprocess.run([paths.BINARY, *map(str, arguments)], capture_output=True, text=True, env=variables,
                              cwd=self.folder, timeout=timeout, stdin=subprocess.DEVNULL)
        self.assertIsNone(SANITIZER_REPORT.search(done.stderr), done.stderr)
        return done

    def models(self, *arguments, status=0, **more):
        done = self.hearth("models", *arguments, "--data", self.data, **more)
        self.assertEqual(done.returncode, status, done.stdout + done.stderr)
        return done

    # ---- config

    def test_version_and_help(self):
        self.assertRegex(self.hearth("--version").stdout, r"hearth \d+\.\d+\.\d+")
        self.assertIn("serve", self.hearth("--help").stdout)
        self.assertEqual(self.hearth("nonsense").returncode, 2)
        self.assertEqual(self.hearth().returncode, 2)
        self.assertIn('"/v1/chat/completions"', self.hearth("openapi").stdout)

    def test_config_says_what_holds_and_why(self):
        file = self.folder / "my.toml"
        file.write_text('[server]\nidle_time = "20s"\nheader_time = "3s"\nbody_time = "4s"\n[models."a"]\n'
                        'base_urls = ["http://h/v1"]\napi_key = "sk-very-secret"\n')
        done = self.hearth("config", "--config", file, "--set", "server.body_time=5s",
                           environment={"HEARTH_SERVER_HEADER_TIME": "7s", "HEARTH_SERVER_BODY_TIME": "6s"})
        self.assertEqual(done.returncode, 0, done.stderr)
        lines = {name: next(line for line in done.stdout.splitlines() if name in line)
                 for name in ("idle_time", "header_time", "body_time", "write_time")}
        self.assertRegex(lines["idle_time"], r"20s.*my\.toml:2")
        self.assertRegex(lines["header_time"], r"7s.*HEARTH_SERVER_HEADER_TIME")
        self.assertRegex(lines["body_time"], r"5s.*--set")
        self.assertRegex(lines["write_time"], r"30s.*default")
        self.assertNotIn("sk-very-secret", done.stdout)

    def test_mistakes_are_named_with_what_would_be_right(self):
        for text, words in (('[server]\nidel_time = "2s"\n', ("my.toml:2", "server.idel_time", "idle_time")),
                            ("[server]\nidle_time = 5\n", ("my.toml:2", "server.idle_time")),
                            ('[server]\nidle_time = "5 parsecs"\n', ("my.toml:2", "idle_time")),
                            ('[models."a"]\nfiel = "x.gguf"\n', ("my.toml:2", "fiel", "file")),
                            ('[models."a"]\n', ("a", "file", "base_urls")),
                            ('[log]\nlevel = "loud"\n', ("log.level", "debug")),
                            ("[server\n", ("my.toml:1",)),
                            ('[aliases]\n"a" = "b"\n[models."a"]\nbase_urls = ["http://h/v1"]\n', ('aliases."a"', "a model has this name"))):
            with self.subTest(text):
                file = self.folder / "my.toml"
                file.write_text(text)
                done = self.hearth("config", "--config", file)
                self.assertEqual(done.returncode, 2)
                self.assertEqual(len(done.stderr.strip().splitlines()), 1, done.stderr)
                for word in words:
                    self.assertIn(word, done.stderr)
        self.assertEqual(self.hearth("config", "--config", self.folder / "absent.toml").returncode, 2)
        done = self.hearth("config", environment={"HEARTH_SERVER_IDEL_TIME": "3s"})
        self.assertEqual(done.returncode, 2)
        self.assertIn("HEARTH_SERVER_IDLE_TIME", done.stderr)
        self.assertEqual(self.hearth("config", "--set", "server.idle_time").returncode, 2)

    # ---- models

    def test_add_list_show_alias_remove(self):
        self.models("add", "tiny", "--file", paths.chat_model())
        self.models("add", "far", "--base-urls", "http://127.0.0.1:9/v1", "--api-key", "sk-very-secret")
        listed = self.models("list").stdout
        self.assertRegex(listed, r"(?m)^tiny .*chat.*registered")
        self.assertRegex(listed, r"(?m)^far .*127\.0\.0\.1:9")
        shown = self.models("show", "tiny").stdout
        self.assertIn("4096", shown)
        self.assertNotIn("sk-very-secret", self.models("show", "far").stdout)
        self.models("alias", "gpt-4o", "tiny")
        self.assertIn("gpt-4o -> tiny", self.models("alias").stdout)
        self.assertIn("4096", self.models("show", "gpt-4o").stdout)
        self.models("alias", "tiny", "far", status=1)
        self.models("alias", "loop", "nothing", status=1)
        self.models("add", "tiny", "--file", paths.chat_model(), status=1)
        self.models("add", "tiny", "--file", paths.chat_model(), "--slots", "2", "--replace")
        self.models("add", "bad", "--file", __file__, status=1)
        self.models("add", "bad", status=1)
        self.models("remove", "nothing", status=1)
        self.models("remove", "tiny")
        self.assertNotIn("tiny", self.models("list").stdout)
        self.assertNotIn("gpt-4o", self.models("alias").stdout)
        self.assertIn("did you mean far", self.models("show", "fra", status=1).stderr)

    def test_a_running_server_sees_the_change(self):
        with CannedUpstream() as upstream, Hearth(engine=False, data=self.data,
                                                  models=upstream_model("up", [upstream.base_url])).start() as server:
            self.models("add", "late", "--base-urls", upstream.base_url)
            self.models("alias", "gpt-4o", "late")
            eventually(lambda: server.get("/v1/models/gpt-4o").status == 200, 15, "the new alias")
            self.assertEqual(server.post("/v1/chat/completions", chat(model="gpt-4o")).status, 200)
            self.models("remove", "late")
            eventually(lambda: server.get("/v1/models/late").status == 404, 15, "the end of the model")

    # ---- pull

    def pull(self, server, *more, status=0, **options):
        return self.models("pull", "hf:org/repo/tiny.gguf", "--set", f"pull.endpoint={server.url}", *more, status=status, **options)

    def pulled_file(self):
        files = [path for path in (self.data / "models").rglob("*") if path.is_file() and path.name == "tiny.gguf"]
        return files[0].read_bytes() if files else None

    def test_pull(self):
        content = paths.chat_model().read_bytes()
        with DownloadServer(content) as server:
            self.pull(server)
            self.assertIn("org/repo", server.requests[0][0])
            self.assertIn("tiny.gguf", server.requests[0][0])
            self.assertEqual(self.pulled_file(), content)
            self.assertIn("tiny", self.models("list").stdout)
            self.pull(server, "--name", "again")
            self.models("pull", "hf:org/repo/folder/other.gguf", "--set", f"pull.endpoint={server.url}", "--name", "plain")
        self.assertIn("plain", self.models("list").stdout)

    def test_pull_resumes_what_broke_off(self):
        content = paths.chat_model().read_bytes()
        for name, fault in (("once", "break_once"), ("each-time", "break_off")):
            with self.subTest(fault), DownloadServer(content, fault) as server:
                self.models("pull", f"hf:org/{name}/tiny.gguf", "--set", f"pull.endpoint={server.url}", "--name", name)
                self.assertTrue(any(asked and not asked.startswith("bytes=0") for _, asked in server.requests))
                self.assertEqual((self.data / "models" / "org" / name / "tiny.gguf").read_bytes(), content)

    def test_pull_from_one_that_cannot_resume(self):
        content = paths.chat_model().read_bytes()
        with DownloadServer(content, "break_once") as server:
            self.pull(server)
        with DownloadServer(content, "no_ranges") as server:
            self.models("pull", "hf:org/repo/fresh.gguf", "--set", f"pull.endpoint={server.url}")

    def test_pull_follows_redirects(self):
        with DownloadServer(paths.chat_model().read_bytes(), "redirect") as server:
            self.pull(server)
        with DownloadServer(b"x", "redirect_loop") as server:
            self.models("pull", "hf:org/repo/loop.gguf", "--set", f"pull.endpoint={server.url}", status=1)

    def test_pull_refuses_what_is_not_whole(self):
        content = paths.chat_model().read_bytes()
        for fault in ("short", "long", "wrong_bytes", "not_found", "status_500"):
            with self.subTest(fault), DownloadServer(content, fault) as server:
                done = self.pull(server, status=1, timeout=120)
                self.assertIsNone(self.pulled_file())
                self.assertNotIn("tiny", self.models("list").stdout)
                self.assertTrue(done.stderr.strip())
                self.assertLess(len(server.requests), 30)
        with DownloadServer(b"this is no model" * 1000) as server:
            self.pull(server, status=1)

    def test_a_pulled_model_answers(self):
        with DownloadServer(paths.chat_model().read_bytes()) as server:
            self.pull(server)
        with Hearth(models="", data=self.data, config='default_model = "tiny"\n').start() as hearth:
            self.assertEqual(hearth.post("/v1/chat/completions", chat(model="tiny", max_completion_tokens=2)).status, 200)


if __name__ == "__main__":
    unittest.main()
