"""The limits of the server's configuration: connections, memory for bodies, time for a reply, clients that take nothing."""
import concurrent.futures
import time
import unittest

from support import paths
from support.hearth import Hearth, chat, endless_chat, eventually, upstream_model
from support.upstream import CannedUpstream


class Limits(unittest.TestCase):
    def test_connections(self):
        with Hearth(models=upstream_model("up", ["http://127.0.0.1:9/v1"]), engine=False,
                    settings={"server.max_connections": 10}).start(wait="alive") as server:
            held, served = [server.connect(5) for _ in range(15)], 0
            for connection in held:
                try:
                    reply = connection.request("GET", "/healthz")
                except OSError:
                    reply = None
                self.assertTrue(reply is None or reply.status in (200, 503))
                served += reply is not None and reply.status == 200
            self.assertTrue(8 <= served <= 10, f"{served} of 15 were served")        # the fixture's own may still be open
            for connection in held:
                connection.close()

            def served_again():
                try:
                    return server.get("/healthz").status == 200
                except (OSError, AttributeError):
                    return False
            eventually(served_again, 5, "an answer after others left")
            self.assertGreaterEqual(server.metric('hearth_connections_total'), 11)

    def test_memory_for_bodies(self):
        """Requests whose bodies do not fit in memory together wait for each other; none is lost."""
        with CannedUpstream() as upstream, Hearth(models=upstream_model("up", [upstream.base_url]), engine=False,
                                                  settings={"server.body_memory": "1MiB"}).start() as server:
            def ask(number):
                return server.post("/v1/chat/completions", chat("x" * 150_000, "up", seed=number)).status
            with concurrent.futures.ThreadPoolExecutor(16) as pool:
                self.assertEqual(set(pool.map(ask, range(48))), {200})
            self.assertEqual(server.post("/v1/chat/completions", chat("x" * 3_000_000, "up")).status, 200,
                             "one that is larger than all the memory goes alone")

    def test_time_for_a_reply(self):
        with CannedUpstream("hang") as upstream, Hearth(models=upstream_model("up", [upstream.base_url]), engine=False,
                                                        settings={"server.request_timeout": "1s"}).start(wait="alive") as server:
            start = time.monotonic()
            reply = server.post("/v1/chat/completions", chat(model="up"))
            self.assertEqual((reply.status, reply.error["type"]), (504, "server_error"))
            self.assertLess(time.monotonic() - start, 5)

    def test_time_for_a_stream(self):
        with CannedUpstream("slow") as upstream, Hearth(models=upstream_model("up", [upstream.base_url]), engine=False,
                                                        settings={"server.request_timeout": "1s"}).start(wait="alive") as server:
            upstream.slow_seconds = 0.4
            reply = server.post("/v1/chat/completions", chat(model="up", stream=True))
            self.assertNotIn(("", "[DONE]"), reply.events)
            self.assertIn("error", reply.events[-1][1])

    def test_a_client_that_takes_nothing_is_cut(self):
        server = Hearth(settings={"server.write_time": "1s"})
        server.listen = f"unix:{server.folder}/hearth.sock"                  # less waits on the way than in a TCP connection
        with server.start():
            connection, head = server.open_stream("/v1/chat/completions", endless_chat(model="babble", n=16))
            with connection:
                self.assertEqual(head.status, 200)
                eventually(lambda: server.metric("hearth_engine_requests") == 0, 60, "the end of the work")
                taken = b""
                try:
                    for piece in connection.read_pieces(head):
                        taken += piece
                except OSError:
                    pass
                self.assertNotIn(b"[DONE]", taken)
            self.assertEqual(server.post("/v1/chat/completions", chat(max_completion_tokens=1)).status, 200)

    def test_without_authentication(self):
        with CannedUpstream() as upstream, Hearth(models=upstream_model("up", [upstream.base_url]), engine=False,
                                                  settings={"auth.enabled": "false"}).start() as server:
            server.keys = {}
            made = server.post("/v1/chat/completions", chat(model="up", store=True))
            self.assertEqual(made.status, 200)
            self.assertEqual(server.get(f"/v1/chat/completions/{made.json()['id']}").status, 200)

    def test_any_origin(self):
        with Hearth(models="", engine=False, settings={"server.cors_origins": "*"}).start(wait="alive") as server:
            reply = server.get("/v1/models", headers={"origin": "https://anything.example"})
            self.assertEqual(reply.header("access-control-allow-origin"), "*")

    def test_no_origin_by_default(self):
        with Hearth(models="", engine=False).start(wait="alive") as server:
            reply = server.get("/v1/models", headers={"origin": "https://anything.example"})
            self.assertIsNone(reply.header("access-control-allow-origin"))
            reply = server.request("OPTIONS", "/v1/models", headers={"origin": "https://a.example",
                                                                     "access-control-request-method": "GET"})
            self.assertEqual(reply.status, 405)


if __name__ == "__main__":
    unittest.main()
