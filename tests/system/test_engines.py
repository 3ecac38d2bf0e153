"""Engines that are really killed, models that are really quantised, clients that really leave."""
import concurrent.futures
import json
import os
import pathlib
import signal
import subprocess
import time
import unittest

from support import paths
from support.hearth import Hearth, chat, chat_model, embedding_model, endless_chat, eventually


def processor_seconds(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Crashes(unittest.TestCase):
    def setUp(self):
        self.server = Hearth(models=chat_model("slow", file=paths.slow_model()) + chat_model("babble"),
                             config='default_model = "slow"\n').start()
        self.addCleanup(self.server.__exit__, None)

    def kill_engines(self):
        for pid in self.server.engines():
            os.kill(pid, signal.SIGKILL)

    def test_killed_in_mid_stream(self):
        connection, head = self.server.open_stream("/v1/chat/completions", endless_chat())
        with connection:
            self.assertEqual(head.status, 200)
            events = connection.read_events(head)
            seen = [next(events) for _ in range(3)]
            self.kill_engines()
            seen += list(events)
            self.assertNotIn(("", "[DONE]"), seen, "a truncated answer must not end cleanly")
            last = json.loads(seen[-1][1])
            self.assertIn("error", last)
            self.assertEqual(last["error"]["type"], "server_error")
            self.assertFalse(any(json.loads(data)["choices"][0]["finish_reason"] for _, data in seen[:-1]))
        self.recovers()

    def test_killed_before_a_plain_answer(self):
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(self.server.post, "/v1/chat/completions", endless_chat())
            eventually(lambda: self.server.metric("hearth_engine_requests") >= 1, 10, "the request at the engine")
            time.sleep(0.2)
            self.kill_engines()
            reply = waiting.result()
        self.assertEqual(reply.status, 503)
        self.assertEqual(reply.error["type"], "server_error")
        self.recovers()

    def test_another_models_requests_are_not_touched(self):
        self.assertEqual(self.server.post("/v1/chat/completions", chat(max_completion_tokens=1)).status, 200)
        engines = self.server.engines()
        self.assertEqual(len(engines), 2)
        of_babble = [pid for pid in engines if "tiny.gguf" in pathlib.Path(f"/proc/{pid}/cmdline").read_text()]
        self.assertEqual(len(of_babble), 1)
        connection, head = self.server.open_stream("/v1/chat/completions", endless_chat())
        with connection:
            events = connection.read_events(head)
            next(events)
            os.kill(of_babble[0], signal.SIGKILL)
            for _ in range(50):
                self.assertNotIn("error", json.loads(next(events)[1]))

    def recovers(self):
        """The next request is served by a new engine, after the back-off."""
        def served():
            return self.server.post("/v1/chat/completions", chat(model="slow", max_completion_tokens=2)).status == 200
        eventually(served, 30, "an answer by a new engine")
        self.assertGreaterEqual(self.server.metric("hearth_engine_restarts_total"), 1)
        self.assertEqual(self.server.get("/healthz").status, 200)


class Departures(unittest.TestCase):
    """A client that leaves stops the work that only it wanted."""

    @classmethod
    def setUpClass(cls):
        cls.server = Hearth(models=chat_model("slow", file=paths.slow_model()), config='default_model = "slow"\n').start()
        cls.addClassCleanup(cls.server.__exit__, None)

    def assert_idle_soon(self):
        eventually(lambda: self.server.metric("hearth_engine_requests") == 0, 3, "the end of the work")
        (engine,) = self.server.engines()

        def idle():
            before = processor_seconds(engine)
            time.sleep(0.3)
            return processor_seconds(engine) - before < 0.1
        eventually(idle, 3, "an idle engine")

    def test_before_the_first_token(self):
        for how in ("close", "reset"):
            with self.subTest(how):
                connection = self.server.connect()
                connection.send(connection.request_bytes("POST", "/v1/chat/completions", endless_chat(stream=True),
                                                         self.server.headers()))
                getattr(connection, how)()
                self.assert_idle_soon()

    def test_during_a_stream(self):
        for how in ("close", "reset"):
            with self.subTest(how):
                connection, head = self.server.open_stream("/v1/chat/completions", endless_chat())
                next(connection.read_events(head))
                self.assertGreaterEqual(self.server.metric("hearth_engine_requests"), 1)
                getattr(connection, how)()
                self.assert_idle_soon()

    def test_during_a_plain_answer(self):
        for path, body in (("/v1/chat/completions", endless_chat()),
                           ("/v1/completions", {"model": "slow", "prompt": "Once", "max_tokens": 3000})):
            with self.subTest(path):
                connection = self.server.connect()
                connection.send(connection.request_bytes("POST", path, body, self.server.headers()))
                eventually(lambda: self.server.metric("hearth_engine_requests") >= 1, 5, "the work")
                connection.close()
                self.assert_idle_soon()

    def test_right_after_the_end(self):
        for _ in range(20):
            connection, head = self.server.open_stream("/v1/chat/completions", chat(model="slow", max_completion_tokens=2))
            for event in connection.read_events(head):
                if event[1] == "[DONE]":
                    break
            connection.reset()
        self.assert_idle_soon()

    def test_one_that_takes_nothing_holds_nobody_up(self):
        connection, head = self.server.open_stream("/v1/chat/completions", endless_chat())
        with connection:
            self.assertEqual(head.status, 200)
            start = time.monotonic()
            reply = self.server.post("/v1/chat/completions", chat(model="slow", max_completion_tokens=2))
            self.assertEqual(reply.status, 200)
            self.assertLess(time.monotonic() - start, 5)
        self.assert_idle_soon()


class Models(unittest.TestCase):
    def test_loaded_on_first_use_and_unloaded_when_idle(self):
        with Hearth(models=chat_model("babble") + embedding_model(), config='default_model = "babble"\n',
                    settings={"engines.idle_unload": "2s"}).start() as server:
            self.assertEqual(len(server.engines()), 1)
            reply = server.post("/v1/embeddings", {"model": "embed", "input": "a"})
            self.assertEqual(reply.status, 200)
            eventually(lambda: not server.engines(), 20, "unloading of idle engines")
            self.assertEqual(server.get("/readyz").status, 200, "an unloaded model can be had")
            self.assertEqual(server.post("/v1/chat/completions", chat(max_completion_tokens=1)).status, 200)

    def test_the_memory_budget_evicts_the_least_recently_used(self):
        models = "".join(chat_model(name, memory="100MiB") for name in ("one", "two", "three"))
        with Hearth(models=models, config='default_model = "one"\n',
                    settings={"engines.memory_budget": "250MiB"}).start() as server:
            for name in ("one", "two", "three", "one"):
                self.assertEqual(server.post("/v1/chat/completions", chat(model=name, max_completion_tokens=1)).status, 200)
                self.assertLessEqual(len(server.engines()), 2)

    def test_a_model_beyond_the_budget_is_refused(self):
        with Hearth(models=chat_model("babble") + chat_model("vast", memory="10GiB"), config='default_model = "babble"\n',
                    settings={"engines.memory_budget": "1GiB"}).start() as server:
            reply = server.post("/v1/chat/completions", chat(model="vast"))
            self.assertEqual(reply.status, 503)
            self.assertEqual(server.post("/v1/chat/completions", chat(max_completion_tokens=1)).status, 200)

    def test_cpu_variants_are_built(self):
        """One program runs on every x86-64 machine from AVX2 up and takes AVX-512 where it finds it: ggml picks at start."""
        folder = paths.llama_server().resolve().parent
        for variant in ("haswell", "skylakex", "icelake"):
            self.assertTrue((folder / f"libggml-cpu-{variant}.so").is_file(), variant)

    def test_a_quantised_model(self):
        """The kernels that differ from machine to machine are those of quantised weights."""
        base = paths.trained_model() or paths.slow_model()
        quantised = paths.BUILD / "test_models" / "quantised.gguf"
        quantised.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run([paths.llama_server().parent / "llama-quantize", "--pure", base, quantised, "Q8_0"], check=True,
                       capture_output=True)
        with Hearth(models=chat_model("quantised", file=quantised, capabilities=["completion"])).start() as server:
            reply = server.post("/v1/completions", {"model": "quantised", "prompt": "Once upon a time", "max_tokens": 30,
                                                    "temperature": 0})
            self.assertEqual(reply.status, 200, reply.body)
            self.assertTrue(reply.json()["choices"][0]["text"])

    def test_a_trained_model_tells_a_story(self):
        if not paths.trained_model():
            self.skipTest("no trained model beside the checkout")
        with Hearth(models=chat_model("stories", file=paths.trained_model(), capabilities=["completion"])).start() as server:
            reply = server.post("/v1/completions", {"model": "stories", "prompt": "Once upon a time", "max_tokens": 40,
                                                    "temperature": 0, "logprobs": 1})
            choice = reply.json()["choices"][0]
            self.assertIn("there was", choice["text"])
            self.assertEqual("".join(choice["logprobs"]["tokens"]), choice["text"])

    def test_a_broken_model_file_fails_its_own_requests(self):
        server = Hearth(models=chat_model("babble"), config='default_model = "babble"\n')
        whole = paths.chat_model().read_bytes()
        for name, content in (("nonsense", b"GGUF" + b"\xff" * 1000), ("truncated", whole[:len(whole) * 2 // 3])):
            broken = server.folder / f"{name}.gguf"
            broken.write_bytes(content)
            with open(server.config_path, "a", encoding="utf-8") as file:
                file.write(chat_model(name, file=broken, capabilities=["chat"]))
        with server.start():
            for name in ("nonsense", "truncated", "truncated"):
                reply = server.post("/v1/chat/completions", chat(model=name))
                self.assertIn(reply.status, (404, 503), reply.body)
                self.assertNotIn(str(server.folder), reply.body.decode(), "causes stay in the log")
                self.assertIn(name, server.log())
            self.assertEqual(server.post("/v1/chat/completions", chat(max_completion_tokens=1)).status, 200)

    def test_an_engine_that_cannot_be_started(self):
        with Hearth(config='[engines]\nllama_server = "/bin/false"\n').start(wait="alive") as server:
            self.assertEqual(server.get("/readyz").status, 503)
            reply = server.post("/v1/chat/completions", chat())
            self.assertEqual((reply.status, reply.error["type"]), (503, "server_error"))

    def test_ready_means_a_token_was_produced(self):
        server = Hearth(config='[engines]\nllama_server = "/bin/cat"\nload_timeout = "2s"\n')
        with server.start(wait="alive"):
            end = time.monotonic() + 2.5
            while time.monotonic() < end:
                self.assertEqual(server.get("/readyz").status, 503)
                time.sleep(0.2)


if __name__ == "__main__":
    unittest.main()
