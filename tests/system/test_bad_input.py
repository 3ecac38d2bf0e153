"""What broken, hostile and careless clients send: each gets the documented error or is dropped, and the server goes on."""
import json
import socket
import time
import unittest

from support.hearth import Hearth, chat, eventually

DOCUMENTED = {400, 401, 404, 405, 408, 411, 413, 414, 415, 417, 431, 501, 505}


class BadInput(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Hearth(config="[server]\nheader_time = \"1s\"\nbody_time = \"1s\"\nidle_time = \"3s\"\n"
                                   "body_pace = \"1KiB\"\nmax_connections = 3000\n").start()
        cls.addClassCleanup(cls.server.__exit__, None)

    def tearDown(self):
        self.assertEqual(self.server.get("/v1/models").status, 200, "the server goes on")

    def post_raw(self, body, headers=None):
        return self.server.request("POST", "/v1/chat/completions", body,
                                   {"content-type": "application/json", **(headers or {})})

    def assert_error(self, reply, status, code):
        self.assertEqual((reply.status, reply.error["code"]), (status, code), reply.body)

    # ---- JSON

    def test_malformed_json(self):
        for text in (b"{", b'{"a"', b'{"a":}', b"{,}", b"[1,]", b'{"a" 1}', b"nul", b"tru", b"01", b"+1", b"1.", b".5",
                     b"1e", b'"\\x"', b'"\\u12"', b'"\n"', b"'a'", b"{} x", b"\xef\xbb\xbf{}", b"-", b"/* c */ {}",
                     b'{"a": Infinity}', b'"\\ud800"'):
            with self.subTest(text):
                self.assert_error(self.post_raw(text), 400, "invalid_json")

    def test_truncated_json(self):
        whole = json.dumps(chat("Tell me a story.", temperature=0.5, stop=["a"])).encode()
        for length in range(0, len(whole), 3):
            with self.subTest(length):
                self.assert_error(self.post_raw(whole[:length]), 400, "invalid_json")

    def test_deep_json(self):
        for opening, closing in (("[", "]"), ('{"a":', "}")):
            for depth in (65, 1_000, 200_000):
                with self.subTest(opening=opening, depth=depth):
                    self.assert_error(self.post_raw(opening * depth + "1" + closing * depth), 400, "invalid_json")
                    self.assert_error(self.post_raw(opening * depth), 400, "invalid_json")

    def test_invalid_utf8(self):
        for bad in (b"\xff", b"\xc0\xaf", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xe2\x82", b"\x80"):
            with self.subTest(bad):
                body = b'{"model": "babble", "messages": [{"role": "user", "content": "' + bad + b'"}]}'
                self.assert_error(self.post_raw(body), 400, "invalid_json")

    def test_odd_but_legal_texts(self):
        for text in ("\u0000", "\U0001f600" * 5, "a\tb\u2028", "\ufffe\uffff", "e\u0301", "<|im_start|>", "{{ 1 }}"):
            with self.subTest(text):
                reply = self.server.post("/v1/chat/completions", chat(text, max_completion_tokens=1))
                self.assertEqual(reply.status, 200, reply.body)

    def test_huge_numbers(self):
        for text, code in (("1e400", "invalid_json invalid_value decimal_above_max_value"),
                           ("123456789012345678901234567890", "decimal_above_max_value"),
                           ("-1e308", "decimal_below_min_value"), ("1e-400", None)):
            with self.subTest(text):
                body = '{"model": "babble", "messages": [{"role": "user", "content": "a"}], "max_tokens": 1, ' \
                       f'"temperature": {text}}}'
                reply = self.post_raw(body)
                if code is None:
                    self.assertIn(reply.status, (200, 400))
                else:
                    self.assertEqual(reply.status, 400)
                    self.assertIn(reply.error["code"], code.split())

    def test_repeated_members(self):
        reply = self.post_raw('{"model": "no-such", "model": "babble", "max_tokens": 1, '
                              '"messages": [{"role": "user", "content": "a"}]}')
        self.assertIn(reply.status, (200, 400))

    def test_huge_documents(self):
        with self.server.connect() as connection:           # refused by its length, while it is still being sent
            try:
                connection.send(connection.request_bytes("POST", "/v1/chat/completions", b" " * (33 << 20), self.server.headers(
                    {"content-type": "application/json"})))
            except OSError:
                pass
            self.assert_error(connection.read_response(), 413, "request_too_large")
        many = json.dumps({"model": "babble", "messages": [{"role": "user", "content": "a"}] * 10_000})
        self.assertEqual(self.post_raw(many).status, 400)
        wide = json.dumps({f"member{i}": i for i in range(200_000)})
        self.assert_error(self.post_raw(wide), 400, "unknown_parameter")
        long_name = json.dumps({"x" * (1 << 20): 1})
        reply = self.post_raw(long_name)
        self.assert_error(reply, 400, "unknown_parameter")
        self.assertLess(len(reply.body), 4096)

    def test_an_announced_body_that_is_too_large_is_refused_unread(self):
        with self.server.connect() as connection:
            connection.send(connection.request_bytes("POST", "/v1/completions", None, self.server.headers({
                "content-type": "application/json", "content-length": str(1 << 40)})))
            self.assert_error(connection.read_response(), 413, "request_too_large")

    def test_a_chunked_body_that_is_too_large(self):
        with self.server.connect() as connection:
            connection.send(connection.request_bytes("POST", "/v1/completions", None, self.server.headers({
                "content-type": "application/json", "transfer-encoding": "chunked"})))
            piece = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
            try:
                for _ in range(80):
                    connection.send(piece)
                connection.send(b"0\r\n\r\n")
            except OSError:
                pass                                   # it may close while we still send
            reply = None
            try:
                reply = connection.read_response()
            except OSError:
                pass
            if reply is not None:
                self.assert_error(reply, 413, "request_too_large")

    # ---- HTTP

    def raw(self, data, timeout=10):
        """What a connection answers to these bytes; None when it is just closed."""
        with self.server.connect(timeout) as connection:
            try:
                connection.send(data)
                return connection.read_response()
            except (ConnectionResetError, BrokenPipeError):
                return None

    def test_broken_requests(self):
        for data in (b"\r\n\r\n\r\n\r\n", b"GET\r\n\r\n", b"GET /\r\n\r\n", b"GET / HTTP/9.9\r\nHost: a\r\n\r\n",
                     b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"\x00" * 100, b"GET /healthz HTTP/1.1\r\n: x\r\n\r\n",
                     b"GET /healthz HTTP/1.1\r\nHost : a\r\n\r\n", b"GET /healthz HTTP/1.1\r\nA: \x00\r\n\r\n",
                     b"POST /v1/models HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
                     b"POST /v1/models HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
                     b"POST /v1/models HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999\r\n\r\n",
                     b"POST /v1/models HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
                     b"POST /v1/models HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: nonsense\r\n\r\n",
                     b"G" * 100 + b" / HTTP/1.1\r\n\r\n", b"GET " + b"/a" * 40_000 + b" HTTP/1.1\r\n\r\n"):
            with self.subTest(data[:60]):
                reply = self.raw(data)
                if reply is not None:
                    self.assertIn(reply.status, DOCUMENTED)

    def test_smuggling_is_refused(self):
        data = (b"POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"
                b"0\r\n\r\nGET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")
        with self.server.connect(10) as connection:
            connection.send(data)
            first = connection.read_response()
            if first is not None:
                self.assertIn(first.status, DOCUMENTED)
                try:
                    second = connection.read_response()
                except OSError:
                    second = None
                self.assertTrue(second is None or second.status in DOCUMENTED, "the second request must not be served")

    def test_header_limits(self):
        reply = self.raw(b"GET /healthz HTTP/1.1\r\nHost: a\r\n" + b"X-A: " + b"a" * 40_000 + b"\r\n\r\n")
        if reply is not None:
            self.assertEqual(reply.status, 431)
        many = b"".join(b"X-%d: a\r\n" % i for i in range(10_000))
        reply = self.raw(b"GET /healthz HTTP/1.1\r\nHost: a\r\n" + many + b"\r\n")
        if reply is not None:
            self.assertEqual(reply.status, 431)

    def test_bytes_in_header_values(self):
        for value in ("caf\udce9", "a\tb", "\udcff\udcfe", "x" * 8000):
            with self.subTest(value[:10]):
                reply = self.server.get("/v1/models", headers={"x-test": value})
                self.assertIn(reply.status, (200, 400))
        reply = self.server.get("/v1/models", headers={"authorization": "Bearer sk-\udcff\udcfe0123456789abcdef"})
        self.assertIn(reply.status, (400, 401))
        reply.json()

    # ---- pace

    def test_a_slow_header_is_cut(self):
        with self.server.connect() as connection:
            start = time.monotonic()
            connection.send(b"GET /healthz HTTP/1.1\r\n")
            closed = False
            try:
                for _ in range(60):
                    connection.send(b"X: a\r\n")
                    connection.socket.settimeout(0.1)
                    if connection.closed_by_peer(0.1):
                        closed = True
                        break
            except OSError:
                closed = True
            self.assertTrue(closed, "trickled header lines must not hold a connection")
            self.assertLess(time.monotonic() - start, 5)

    def test_a_body_that_stops_halfway_is_answered_or_cut(self):
        with self.server.connect() as connection:
            data = connection.request_bytes("POST", "/v1/chat/completions", chat("Hi"), self.server.headers())
            connection.send(data[:-10])
            connection.socket.settimeout(8)
            try:
                reply = connection.read_response()
            except ConnectionResetError:
                reply = None
            if reply is not None:
                self.assertEqual(reply.status, 408)

    def test_a_body_that_ends_with_the_connection(self):
        for shut in ("close", "half", "reset"):
            with self.subTest(shut):
                connection = self.server.connect()
                data = connection.request_bytes("POST", "/v1/chat/completions", chat("Hi"), self.server.headers())
                connection.send(data[:-10])
                if shut == "reset":
                    connection.reset()
                elif shut == "half":
                    connection.socket.shutdown(socket.SHUT_WR)
                    self.assertTrue(connection.closed_by_peer(5))
                connection.close()

    def test_a_trickled_body_is_cut(self):
        with self.server.connect() as connection:
            data = connection.request_bytes("POST", "/v1/chat/completions", chat("Hi" * 500), self.server.headers())
            head = data.index(b"\r\n\r\n") + 4
            connection.send(data[:head])
            cut = False
            for at in range(head, head + 80):
                try:
                    connection.send(data[at:at + 1])
                except OSError:
                    cut = True
                    break
                if connection.closed_by_peer(0.1):
                    cut = True
                    break
            self.assertTrue(cut, "a byte every 0.1 s is below the pace")

    def test_a_thousand_silent_connections(self):
        before = self.server.resident_bytes()
        silent = [self.server.connect() for _ in range(1000)]
        try:
            reply = self.server.post("/v1/chat/completions", chat("Hi", max_completion_tokens=2))
            self.assertEqual(reply.status, 200)
            self.assertGreaterEqual(self.server.metric("hearth_connections"), 1000)
            grown = self.server.resident_bytes() - before
            self.assertLess(grown / 1000, 256 * 1024, "memory per silent connection (with the sanitizer's share)")
            eventually(lambda: self.server.metric("hearth_connections") < 20, 15, "dropping of the silent connections")
        finally:
            for connection in silent:
                connection.close()
        eventually(lambda: self.server.descriptors() < 100, 10, "closing of the descriptors")


if __name__ == "__main__":
    unittest.main()
