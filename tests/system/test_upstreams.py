"""Upstreams that fail in every way they can: no client ever mistakes a broken answer for a complete one."""
import json
import time
import unittest

from support.gate import TcpGate
from support.hearth import Hearth, chat, eventually, upstream_model
from support.upstream import WORDS, CannedUpstream

TEXT = "".join(WORDS)


def ask(**more):
    return chat("Hi", model="up", **more)


class OneUpstream(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.upstream = CannedUpstream()
        cls.addClassCleanup(cls.upstream.close)
        cls.server = Hearth(engine=False, models=upstream_model(
            "up", [cls.upstream.base_url], api_key="upstream-secret-key-123456", model="their-name", timeout="3s")).start()
        cls.addClassCleanup(cls.server.__exit__, None)

    def setUp(self):
        self.upstream.fault = None
        eventually(lambda: self.server.post("/v1/chat/completions", ask()).status == 200, 40, "a closed circuit")
        self.upstream.requests.clear()

    def test_its_own_key_and_name_are_sent(self):
        reply = self.server.post("/v1/chat/completions", ask(temperature=0.5))
        self.assertEqual(reply.json()["model"], "up")
        (sent,) = self.upstream.inference_requests()
        self.assertEqual(sent["headers"]["authorization"], "Bearer upstream-secret-key-123456")
        self.assertEqual(sent["body"]["model"], "their-name")
        self.assertEqual(sent["body"]["temperature"], 0.5)
        self.assertNotIn(self.server.api_key, json.dumps(sent))

    def test_connections_are_kept(self):
        for _ in range(5):
            self.server.post("/v1/chat/completions", ask())
        self.assertEqual(len(self.upstream.inference_requests()), 5)

    def test_errors_become_ours(self):
        for fault, statuses, code in (("status_500", {502, 503}, None), ("status_429", {429, 503}, None),
                                      ("garbage", {502, 503}, None), ("wrong_shape", {502, 503}, None),
                                      ("refuse", {503}, None), ("die_mid_reply", {502, 503}, None)):
            with self.subTest(fault):
                self.upstream.fault = fault
                reply = self.server.post("/v1/chat/completions", ask())
                self.assertIn(reply.status, statuses, reply.body)
                self.assertEqual(set(reply.error), {"message", "type", "param", "code"})
                self.assertNotIn("127.0.0.1", reply.body.decode(), "where the upstream is stays in the log")
                self.upstream.fault = None
                eventually(lambda: self.server.post("/v1/chat/completions", ask()).status == 200, 40, "recovery")

    def test_a_bad_request_is_the_callers(self):
        self.upstream.fault = "status_400"
        reply = self.server.post("/v1/chat/completions", ask())
        self.assertEqual(reply.status, 400)
        self.assertEqual(reply.error["type"], "invalid_request_error")
        self.assertEqual(set(reply.error), {"message", "type", "param", "code"})
        self.assertIn(type(reply.error["code"]), (str, type(None)))

    def test_one_that_never_answers_times_out(self):
        self.upstream.fault = "hang"
        start = time.monotonic()
        reply = self.server.post("/v1/chat/completions", ask())
        self.assertIn(reply.status, (503, 504))
        self.assertLess(time.monotonic() - start, 15)

    def test_a_stream_that_breaks_never_ends_cleanly(self):
        for fault in ("die_mid_stream", "end_mid_stream", "garbage_stream", "error_event"):
            with self.subTest(fault):
                self.upstream.fault = fault
                reply = self.server.post("/v1/chat/completions", ask(stream=True))
                self.assertEqual(reply.status, 200)
                self.assertNotIn(("", "[DONE]"), reply.events)
                last = json.loads(reply.events[-1][1])
                self.assertEqual(set(last), {"error"})
                self.assertEqual(set(last["error"]), {"message", "type", "param", "code"})
                text = "".join(json.loads(data)["choices"][0]["delta"].get("content") or ""
                               for _, data in reply.events[:-1])
                self.assertTrue(TEXT.startswith(text))
                self.upstream.fault = None
                eventually(lambda: self.server.post("/v1/chat/completions", ask()).status == 200, 40, "recovery")

    def test_a_broken_text_stream(self):
        self.upstream.fault = "die_mid_stream"
        reply = self.server.post("/v1/completions", {"model": "up", "prompt": "Hi", "stream": True})
        self.assertNotIn(("", "[DONE]"), reply.events)
        self.assertIn("error", json.loads(reply.events[-1][1]))

    def test_a_broken_stream_is_not_stored(self):
        self.upstream.fault = "die_mid_stream"
        self.server.post("/v1/chat/completions", ask(stream=True, store=True, metadata={"case": "broken"}))
        reply = self.server.get("/v1/chat/completions?metadata[case]=broken")
        self.assertEqual(reply.json()["data"], [])

    def test_usage_is_always_there(self):
        self.upstream.fault = "omit_usage"
        for stream in (False, True):
            with self.subTest(stream=stream):
                more = {"stream": True, "stream_options": {"include_usage": True}} if stream else {}
                reply = self.server.post("/v1/chat/completions", ask(**more))
                if stream:
                    self.assertEqual(reply.events[-1], ("", "[DONE]"))
                    usage = json.loads(reply.events[-2][1])["usage"]
                else:
                    usage = reply.json()["usage"]
                self.assertGreaterEqual(usage["completion_tokens"], 0)

    def test_a_client_that_leaves_closes_the_upstreams_stream(self):
        self.upstream.fault, self.upstream.slow_seconds = "slow", 0.5
        connection, head = self.server.open_stream("/v1/chat/completions", ask())
        next(connection.read_events(head))
        self.assertEqual(self.upstream.streams_open, 1)
        connection.close()
        eventually(lambda: self.upstream.streams_open == 0 and self.upstream.streams_abandoned >= 1, 3, "the end of the stream")

    def test_slow_is_not_dead(self):
        self.upstream.fault, self.upstream.slow_seconds = "slow", 0.3
        reply = self.server.post("/v1/chat/completions", ask(stream=True))
        self.assertEqual(reply.events[-1], ("", "[DONE]"))

    def test_secrets_stay_out_of_the_log(self):
        for fault in ("status_500", "refuse", None):
            self.upstream.fault = fault
            self.server.post("/v1/chat/completions", ask())
        log = self.server.log()
        for secret in ("upstream-secret-key-123456", self.server.api_key, self.server.keys["admin_key"]):
            self.assertNotIn(secret, log)


class Replicas(unittest.TestCase):
    def setUp(self):
        self.upstreams = [CannedUpstream() for _ in range(3)]
        for upstream in self.upstreams:
            self.addCleanup(upstream.close)
        self.server = Hearth(engine=False, models=upstream_model(
            "up", [upstream.base_url for upstream in self.upstreams], timeout="5s")).start()
        self.addCleanup(self.server.__exit__, None)
        for upstream in self.upstreams:
            upstream.requests.clear()

    def served(self):
        return [len(upstream.inference_requests()) for upstream in self.upstreams]

    def test_another_replica_answers_before_the_first_byte(self):
        self.upstreams[0].fault, self.upstreams[1].fault = "refuse", "status_500"
        for number in range(12):
            reply = self.server.post("/v1/chat/completions", ask(stream=number % 2 == 0))
            self.assertEqual(reply.status, 200, reply.body)
        self.assertGreaterEqual(self.served()[2], 12)
        self.assertLess(self.served()[1], 12, "a replica that fails is left alone")

    def test_no_retry_after_the_first_byte(self):
        for upstream in self.upstreams:
            upstream.fault = "die_mid_stream"
        reply = self.server.post("/v1/chat/completions", ask(stream=True))
        self.assertNotIn(("", "[DONE]"), reply.events)
        self.assertEqual(sum(self.served()), 1)

    def test_a_replica_comes_back(self):
        self.upstreams[0].fault = "refuse"
        for _ in range(9):
            self.assertEqual(self.server.post("/v1/chat/completions", ask()).status, 200)
        self.upstreams[0].fault = None
        self.upstreams[0].requests.clear()

        def used_again():
            self.server.post("/v1/chat/completions", ask())
            return self.served()[0] > 0
        eventually(used_again, 60, "use of the healthy replica")

    def test_work_goes_to_the_least_busy(self):
        import concurrent.futures
        self.upstreams[0].fault, self.upstreams[0].slow_seconds = "slow", 2.0
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            waiting = [pool.submit(self.server.post, "/v1/chat/completions", ask()) for _ in range(2)]
            time.sleep(0.3)
            for _ in range(12):
                self.assertEqual(self.server.post("/v1/chat/completions", ask()).status, 200)
            for one in waiting:
                self.assertEqual(one.result().status, 200)
        self.assertLessEqual(self.served()[0], 4)

    def test_a_gate_that_cuts(self):
        upstream = CannedUpstream()
        self.addCleanup(upstream.close)
        with TcpGate(("127.0.0.1", upstream.port), cut_after=900) as gate:
            models = upstream_model("up", [f"http://127.0.0.1:{gate.address[1]}/v1"], timeout="5s")
            with Hearth(engine=False, models=models).start(wait="alive") as server:
                reply = server.post("/v1/chat/completions", ask(stream=True))
                self.assertEqual(reply.status, 200)
                self.assertNotIn(("", "[DONE]"), reply.events)
                self.assertIn("error", json.loads(reply.events[-1][1]))

    def test_a_gate_that_splits(self):
        with TcpGate(("127.0.0.1", self.upstreams[0].port), piece=1) as gate:
            models = upstream_model("up", [f"http://127.0.0.1:{gate.address[1]}/v1"], timeout="20s")
            with Hearth(engine=False, models=models).start(wait="alive") as server:
                reply = server.post("/v1/chat/completions", ask(stream=True))
                self.assertEqual(reply.events[-1], ("", "[DONE]"))
                text = "".join((json.loads(data)["choices"] or [{"delta": {}}])[0]["delta"].get("content") or ""
                               for _, data in reply.events[:-1])
                self.assertEqual(text, TEXT)


if __name__ == "__main__":
    unittest.main()
