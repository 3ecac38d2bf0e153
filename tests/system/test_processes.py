"""The process: first start, restart, kill -9, two on one data directory, draining."""
import concurrent.futures
import json
import stat
import threading
import time
import unittest

from support import paths
from support.hearth import Hearth, HearthError, chat, chat_model, endless_chat, eventually, upstream_model
from support.raw_http import request
from support.upstream import CannedUpstream


class Starts(unittest.TestCase):
    def test_the_bootstrap_file(self):
        with Hearth(models=upstream_model("up", ["http://127.0.0.1:9/v1"]), engine=False).start(wait="alive") as server:
            mode = stat.S_IMODE(server.bootstrap_path.stat().st_mode)
            self.assertEqual(mode, 0o600)
            keys = server.keys
            self.assertEqual(set(keys), {"base_url", "admin_key", "api_key", "organization_id", "project_id", "default_model"})
            self.assertEqual(keys["base_url"], server.base_url)
            self.assertEqual(keys["default_model"], "up")
            self.assertTrue(keys["organization_id"].startswith("org-"))
            self.assertTrue(keys["project_id"].startswith("proj_"))
            self.assertNotEqual(keys["admin_key"], keys["api_key"])
            self.assertNotIn(keys["api_key"], server.log())
            for path in server.data.rglob("*"):
                if path.is_file():
                    data = path.read_bytes()
                    self.assertNotIn(keys["api_key"].encode(), data, f"{path.name} holds a key in the clear")
                    self.assertNotIn(keys["admin_key"].encode(), data, f"{path.name} holds a key in the clear")
            server.bootstrap_path.unlink()
            server.restart(wait="alive")
            self.assertFalse(server.bootstrap_path.exists(), "keys are written on the first start only")
            self.assertEqual(server.get("/v1/models").status, 200, "and go on working")

    def test_a_wrong_configuration_names_the_nearest_right_key(self):
        for text, name, nearest in (("[server]\nlisten_adress = []\n", "server.listen_adress", "server.listen"),
                                    ("[engines]\nslot = 3\n", "engines.slot", "engines.slots"),
                                    ("[sever]\nlisten = []\n", "sever", "server")):
            with self.subTest(name):
                server = Hearth(models="", engine=False)
                server.config_path.write_text(text)
                server.start(wait=None)
                self.assertNotEqual(server.process.wait(20), 0)
                server.process = None
                self.assertIn(name, server.log())
                self.assertIn(nearest, server.log())
                server.check_log()
                server.remove()

    def test_logs_are_one_json_line_per_request(self):
        server = Hearth(models="", engine=False, settings={"log.format": "json"})
        with server.start(wait="alive"):
            ids = [server.get("/v1/models?n=secret-in-query").header("x-request-id"),
                   server.get("/v1/models", headers={"authorization": "Bearer sk-secret-0123456789abcdef"}).header("x-request-id")]

            def lines_about(one):
                lines = [json.loads(line) for line in server.log().splitlines()]
                return [line for line in lines if line.get("request_id") == one and "status" in line]
            for one in ids:
                eventually(lambda: lines_about(one), 5, "the request's line")
                self.assertEqual(len(lines_about(one)), 1)
            self.assertNotIn("sk-secret", server.log())
            self.assertNotIn("secret-in-query", server.log())


class Durability(unittest.TestCase):
    def test_what_was_acknowledged_survives_kill_9(self):
        with CannedUpstream() as upstream, Hearth(engine=False, models=upstream_model("up", [upstream.base_url])).start() as server:
            kept, stop = [], threading.Event()

            def write(number):
                while not stop.is_set():
                    try:
                        reply = server.post("/v1/chat/completions", chat("Hi", "up", store=True, metadata={"n": str(number)}))
                    except OSError:
                        return
                    if reply is not None and reply.status == 200 and reply.complete:
                        kept.append(reply.json()["id"])

            for _ in range(3):
                stop.clear()
                with concurrent.futures.ThreadPoolExecutor(4) as pool:
                    workers = [pool.submit(write, number) for number in range(4)]
                    time.sleep(0.7)
                    server.kill()
                    stop.set()
                    for worker in workers:
                        worker.result(30)
                server.start()
            self.assertGreater(len(kept), 10)
            for one in kept:
                self.assertEqual(server.get(f"/v1/chat/completions/{one}").status, 200, one)

    def test_engines_die_with_their_server(self):
        with Hearth().start() as server:
            self.assertTrue(server.engines())
            self.assertEqual(server.kill(), [], "no engine outlives its server")
            server.start()
            self.assertEqual(server.post("/v1/chat/completions", chat(max_completion_tokens=1)).status, 200)

    def test_two_processes_on_one_data_directory_agree(self):
        with CannedUpstream() as upstream:
            models = upstream_model("up", [upstream.base_url])
            with Hearth(engine=False, models=models).start() as first, \
                    Hearth(engine=False, models=models, data=first.data) as second:
                second.keys = first.keys
                with concurrent.futures.ThreadPoolExecutor(8) as pool:
                    replies = list(pool.map(lambda n: (first, second)[n % 2].post("/v1/chat/completions", chat(
                        "Hi", "up", store=True, metadata={"case": "two"})), range(40)))
                self.assertEqual({reply.status for reply in replies}, {200})
                lists = [[item["id"] for item in server.get("/v1/chat/completions?metadata[case]=two&limit=100").json()["data"]]
                         for server in (first, second)]
                self.assertEqual(len(lists[0]), 40)
                self.assertEqual(lists[0], lists[1])
                one = lists[0][0]
                second.request("DELETE", f"/v1/chat/completions/{one}")
                self.assertEqual(first.get(f"/v1/chat/completions/{one}").status, 404)
                first.post(f"/v1/chat/completions/{lists[0][1]}", {"metadata": {"case": "changed"}})
                self.assertEqual(second.get(f"/v1/chat/completions/{lists[0][1]}").json()["metadata"], {"case": "changed"})


class Draining(unittest.TestCase):
    def test_running_requests_finish_and_new_ones_are_refused(self):
        with CannedUpstream("slow") as upstream:
            upstream.slow_seconds = 0.3
            server = Hearth(engine=False, models=upstream_model("up", [upstream.base_url])).start()
            upstream.requests.clear()
            with concurrent.futures.ThreadPoolExecutor(1) as pool:
                idle = server.connect()
                self.addCleanup(idle.close)
                stream, head = server.open_stream("/v1/chat/completions", chat("Hi", "up"))
                plain = pool.submit(server.post, "/v1/chat/completions", chat("Hi", "up"))
                self.addCleanup(stream.close)
                events = stream.read_events(head)
                next(events)
                eventually(lambda: len(upstream.inference_requests()) == 2, 10, "both requests")
                process, server.process = server.process, None
                process.terminate()
                self.assertTrue(idle.closed_by_peer(3), "idle connections are closed at once")
                with self.assertRaises((OSError, AssertionError)):
                    self.assertIsNotNone(request(server.target, "GET", "/healthz", timeout=5))
                self.assertEqual(list(events)[-1], ("", "[DONE]"))
                self.assertEqual(plain.result().status, 200)
                self.assertEqual(process.wait(10), 0)
            server.check_log()
            server.remove()

    def test_the_deadline_holds(self):
        server = Hearth(models=chat_model("slow", file=paths.slow_model()),
                        settings={"server.drain_deadline": "1s", "engines.stop_grace": "3s"})
        with server.start():
            stream, head = server.open_stream("/v1/chat/completions", endless_chat())
            events = stream.read_events(head)
            next(events)
            start = time.monotonic()
            server.stop()
            self.assertLess(time.monotonic() - start, 10, server.log_tail())
            with stream:
                self.assertNotIn(("", "[DONE]"), list(events))

    def test_sigterm_at_once(self):
        for delay in (0, 0.05, 0.2):
            with self.subTest(delay):
                server = Hearth().start(wait=None)
                time.sleep(delay)
                try:
                    server.stop()
                except HearthError as error:
                    if "-15" not in str(error) or "listening" in server.log():   # without a handler the signal itself ends it
                        raise
                server.remove()


class Memory(unittest.TestCase):
    def test_nothing_grows(self):
        with CannedUpstream() as upstream, Hearth(engine=False, models=upstream_model("up", [upstream.base_url])).start() as server:
            def round_of_requests():
                for number in range(60):
                    server.post("/v1/chat/completions", chat("Hi", "up", stream=number % 2 == 0))
                    server.post("/v1/completions", {"model": "up"})
            round_of_requests()
            eventually(lambda: server.metric("hearth_connections") <= 2, 5)
            descriptors = server.descriptors()
            for _ in range(2):
                round_of_requests()
            eventually(lambda: server.metric("hearth_connections") <= 2, 5)
            self.assertLessEqual(server.descriptors(), descriptors + 5)


if __name__ == "__main__":
    unittest.main()
