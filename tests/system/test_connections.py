"""HTTP as well-behaved clients use it: kept connections, chunked bodies, 100-continue, HEAD, and every kind of listener."""
import concurrent.futures
import json
import socket
import ssl
import subprocess
import time
import unittest

from support.gate import TcpGate
from support.hearth import Hearth, chat, endless_chat, eventually, free_port
from support.raw_http import Connection, request


class Connections(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Hearth().start()
        cls.addClassCleanup(cls.server.__exit__, None)

    def test_a_connection_serves_many_requests(self):
        with self.server.connect() as connection:
            for number in range(50):
                if number % 10 == 0:
                    reply = connection.request("POST", "/v1/chat/completions", chat("Hi", max_completion_tokens=1),
                                               self.server.headers())
                else:
                    reply = connection.request("GET", "/v1/models", headers=self.server.headers())
                self.assertEqual(reply.status, 200)

    def test_errors_keep_the_connection(self):
        with self.server.connect() as connection:
            for _ in range(3):
                self.assertEqual(connection.request("GET", "/v1/nothing", headers=self.server.headers()).status, 404)
                self.assertEqual(connection.request("POST", "/v1/completions", {"model": 1}, self.server.headers()).status, 400)
                self.assertEqual(connection.request("GET", "/v1/models").status, 401)
            self.assertEqual(connection.request("GET", "/healthz").status, 200)

    def test_pipelined_requests_are_answered_in_order(self):
        with self.server.connect() as connection:
            paths = ["/v1/models/babble", "/v1/models/nothing", "/healthz", "/v1/models"]
            connection.send(b"".join(connection.request_bytes("GET", path, None, self.server.headers()) for path in paths))
            self.assertEqual([connection.read_response().status for _ in paths], [200, 404, 200, 200])

    def test_a_request_pipelined_behind_a_stream(self):
        with self.server.connect() as connection:
            stream = connection.request_bytes("POST", "/v1/chat/completions", chat("Hi", stream=True, max_completion_tokens=20),
                                              self.server.headers())
            connection.send(stream + connection.request_bytes("GET", "/healthz"))
            first = connection.read_response()
            self.assertEqual(first.events[-1], ("", "[DONE]"))
            self.assertEqual(connection.read_response().status, 200)

    def test_close_is_honoured(self):
        with self.server.connect() as connection:
            reply = connection.request("GET", "/healthz", headers={"connection": "close"})
            self.assertEqual(reply.header("connection"), "close")
            self.assertTrue(connection.closed_by_peer(5))

    def test_http_1_0(self):
        with self.server.connect() as connection:
            connection.send(b"GET /healthz HTTP/1.0\r\n\r\n")
            self.assertEqual(connection.read_response().status, 200)
            self.assertTrue(connection.closed_by_peer(5))

    def test_a_stream_for_http_1_0_is_not_chunked(self):
        body = json.dumps(chat("Hi", stream=True, max_completion_tokens=2))
        with self.server.connect() as connection:
            connection.send(f"POST /v1/chat/completions HTTP/1.0\r\nContent-Type: application/json\r\n"
                            f"Authorization: Bearer {self.server.api_key}\r\nContent-Length: {len(body)}\r\n\r\n{body}")
            reply = connection.read_response()
            self.assertIsNone(reply.header("transfer-encoding"))
            self.assertEqual(reply.events[-1], ("", "[DONE]"))

    def test_chunked_bodies(self):
        body = json.dumps(chat("Hi", max_completion_tokens=2)).encode()
        for size in (1, 7, len(body)):
            with self.subTest(size), self.server.connect() as connection:
                connection.send(connection.request_bytes("POST", "/v1/chat/completions", None, self.server.headers({
                    "content-type": "application/json", "transfer-encoding": "chunked"})))
                for at in range(0, len(body), size):
                    piece = body[at:at + size]
                    connection.send(b"%x;ext=1\r\n%s\r\n" % (len(piece), piece))
                connection.send(b"0\r\nX-Trailer: 1\r\n\r\n")
                self.assertEqual(connection.read_response().status, 200)
                self.assertEqual(connection.request("GET", "/healthz").status, 200)

    def test_expect_100_continue(self):
        body = json.dumps(chat("Hi", max_completion_tokens=2)).encode()
        head = {"content-type": "application/json", "content-length": str(len(body)), "expect": "100-continue"}
        with self.server.connect() as connection:
            connection.send(connection.request_bytes("POST", "/v1/chat/completions", None, self.server.headers(head)))
            self.assertEqual(connection.read_head().status, 100)
            connection.send(body)
            self.assertEqual(connection.read_response().status, 200)

    def test_a_refusal_by_the_head_does_not_ask_for_the_body(self):
        head = {"content-type": "application/json", "content-length": "100", "expect": "100-continue"}
        with self.server.connect() as connection:
            connection.send(connection.request_bytes("POST", "/v1/chat/completions", None, head))
            self.assertEqual(connection.read_head().status, 401)

    def test_head_has_the_length_of_get(self):
        with self.server.connect() as connection:
            get = connection.request("GET", "/v1/models", headers=self.server.headers())
            head = connection.request("HEAD", "/v1/models", headers=self.server.headers())
            self.assertEqual(head.header("content-length"), str(len(get.body)))
            self.assertEqual(connection.request("GET", "/healthz").status, 200)

    def test_one_byte_at_a_time(self):
        with TcpGate(self.server.target, piece=1) as gate, Connection(gate.address) as connection:
            reply = connection.request("POST", "/v1/chat/completions", chat("Hi", stream=True, max_completion_tokens=3),
                                       self.server.headers())
            self.assertEqual(reply.events[-1], ("", "[DONE]"))
            self.assertEqual(connection.request("GET", "/healthz").status, 200)

    def test_connections_that_are_cut_at_random(self):
        """Whatever was going on when its connection was cut: the work stops, and the server goes on."""
        with TcpGate(self.server.target, piece=200) as gate, concurrent.futures.ThreadPoolExecutor(12) as pool:
            end = time.monotonic() + 4

            def ask(number):
                rounds = 0
                while time.monotonic() < end:
                    body = endless_chat(model="babble", stream=number % 3 != 0, store=number % 2 == 0)
                    try:
                        request(gate.address, "POST", "/v1/chat/completions", body, self.server.headers(), timeout=10)
                    except (OSError, ValueError):
                        pass
                    rounds += 1
                return rounds
            clients = [pool.submit(ask, number) for number in range(12)]
            while time.monotonic() < end:
                time.sleep(0.15)
                gate.cut()
            gate.close()
            self.assertGreater(sum(client.result(30) for client in clients), 30)
        eventually(lambda: self.server.metric("hearth_engine_requests") == 0, 5, "the end of the work")
        self.assertEqual(self.server.post("/v1/chat/completions", chat(max_completion_tokens=2)).status, 200)

    def test_many_at_once(self):
        with concurrent.futures.ThreadPoolExecutor(32) as pool:
            replies = list(pool.map(lambda n: self.server.post("/v1/chat/completions", chat(
                f"Story {n}", max_completion_tokens=8, stream=n % 2 == 0)), range(64)))
        self.assertEqual({reply.status for reply in replies}, {200})
        for number, reply in enumerate(replies):
            if number % 2 == 0:
                self.assertEqual(reply.events[-1], ("", "[DONE]"))


class Listeners(unittest.TestCase):
    def test_unix_socket(self):
        server = Hearth(models="", engine=False, listen="unix:/tmp/x")
        server.listen = f"unix:{server.folder}/hearth.sock"
        stale = socket.socket(socket.AF_UNIX)                       # left over from an earlier run
        stale.bind(str(server.folder / "hearth.sock"))
        stale.close()
        with server.start(wait="alive"):
            self.assertEqual(server.get("/v1/models").status, 200)
            self.assertTrue((server.folder / "hearth.sock").is_socket())

    def test_a_file_that_is_no_socket_is_left_alone(self):
        server = Hearth(models="", engine=False, listen="unix:/tmp/x")
        server.listen = f"unix:{server.folder}/precious"
        (server.folder / "precious").write_text("data")
        server.start(wait=None)
        self.assertEqual(server.process.wait(20), 1)
        server.process = None
        self.assertEqual((server.folder / "precious").read_text(), "data")
        server.remove()

    def test_ipv6(self):
        with Hearth(models="", engine=False, listen=f"[::1]:{free_port('::1')}").start(wait="alive") as server:
            self.assertEqual(server.get("/v1/models").status, 200)
            self.assertIn("[::1]", server.keys["base_url"])

    def test_several_addresses(self):
        second = free_port()
        server = Hearth(models="", engine=False)
        server.extra = ["--listen", f"127.0.0.1:{second}"]
        with server.start(wait="alive"):
            self.assertEqual(request(("127.0.0.1", second), "GET", "/healthz").status, 200)
            self.assertEqual(server.get("/healthz").status, 200)

    def test_tls(self):
        server = Hearth(models="", engine=False)
        key, certificate = server.folder / "key.pem", server.folder / "cert.pem"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                        "-keyout", key, "-out", certificate, "-days", "2", "-subj", "/CN=localhost",
                        "-addext", "subjectAltName=DNS:localhost"], check=True, capture_output=True)
        server.config_path.write_text(f'[server]\ntls_certificate = "{certificate}"\ntls_key = "{key}"\n')
        context = ssl.create_default_context(cafile=certificate)
        with server.start(wait=None):
            def answers():
                try:
                    return request(server.target, "GET", "/healthz", tls=context).status == 200
                except OSError:
                    return False
            eventually(answers, 30, "an answer over TLS")
            keys = json.loads(server.bootstrap_path.read_text())
            self.assertTrue(keys["base_url"].startswith("https://"))
            reply = request(server.target, "GET", "/v1/models", headers={"authorization": f"Bearer {keys['api_key']}"},
                            tls=context)
            self.assertEqual(reply.status, 200)
            with Connection(server.target) as plain:              # plain text to a TLS port
                plain.send(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")
                self.assertTrue(plain.closed_by_peer(15))
            self.assertEqual(request(server.target, "GET", "/healthz", tls=context).status, 200)

    def test_a_port_in_use_is_an_error_at_start(self):
        with Hearth(models="", engine=False).start(wait="alive") as first:
            second = Hearth(models="", engine=False, listen=first.listen)
            second.start(wait=None)
            self.assertNotEqual(second.process.wait(20), 0)
            second.process = None
            self.assertIn(first.listen.rpartition(":")[2], second.log())
            second.remove()


if __name__ == "__main__":
    unittest.main()
