"""A canned OpenAI-compatible upstream with fault switches: the same reply to everybody, or the fault that is set."""
import http.server
import json
import socket
import struct
import threading
import time

WORDS = ["Hello", " from", " the", " canned", " upstream", "."]
USAGE = {"prompt_tokens": 5, "completion_tokens": len(WORDS), "total_tokens": 5 + len(WORDS)}
FAULTS = {
    "refuse":           "closes each connection before it answers",
    "status_500":       "answers 500 with an error body",
    "status_429":       "answers 429 with retry-after: 1",
    "status_400":       "answers 400 as a vLLM would: integer code, no param",
    "hang":             "reads the request and never answers",
    "slow":             "waits `slow_seconds` before each piece",
    "garbage":          "answers 200 with something that is not JSON",
    "wrong_shape":      "answers 200 with JSON of another shape",
    "die_mid_stream":   "resets the connection after three chunks",
    "end_mid_stream":   "ends the body properly after three chunks: no finish reason, no [DONE]",
    "garbage_stream":   "sends a chunk that is not JSON in mid-stream",
    "error_event":      "sends an error object as an event in mid-stream",
    "omit_usage":       "never reports usage",
    "die_mid_reply":    "resets the connection in the middle of a plain reply",
}


class CannedUpstream:
    """Listens on 127.0.0.1. `fault` is one of FAULTS or None and may be changed at any time; `requests` holds what came:
    dicts of path, headers (lower case), body. Answers to `GET /v1/models` come whatever the fault, but for "refuse"."""

    def __init__(self, fault=None):
        self.fault, self.slow_seconds, self.requests = fault, 0.2, []
        self.streams_open, self.streams_abandoned = 0, 0
        self.lock = threading.Lock()
        upstream = self

        class Handler(_Handler):
            owner = upstream

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 256

            def handle_error(self, request, client_address):
                pass                                  # clients of a fault test vanish all the time

        self._server = Server(("127.0.0.1", 0), Handler)
        self.port = self._server.server_address[1]
        self.base_url = f"http://127.0.0.1:{self.port}/v1"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self._server.shutdown()
        self._server.server_close()

    def inference_requests(self):
        with self.lock:
            return [request for request in self.requests if not request["path"].endswith("/models")]


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    owner = None

    def log_message(self, *_):
        pass

    def reset(self):
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()
        self.close_connection = True

    def send(self, status, value, content_type="application/json", headers=()):
        data = value if isinstance(value, bytes) else json.dumps(value).encode()
        self.send_response(status)
        self.send_header("content-type", content_type)
        self.send_header("content-length", str(len(data)))
        for name, text in headers:
            self.send_header(name, text)
        self.end_headers()
        if self.owner.fault == "die_mid_reply" and status == 200 and "/models" not in self.path:
            self.wfile.write(data[:len(data) // 2])
            self.wfile.flush()
            self.reset()
            return
        self.wfile.write(data)

    def do_GET(self):
        self.remember(None)
        if self.owner.fault == "refuse":
            return self.reset()
        if self.path.split("?")[0].endswith("/models"):
            return self.send(200, {"object": "list", "data": [
                {"id": "canned", "object": "model", "created": 1, "owned_by": "tests"}]})
        self.send(404, {"error": {"message": "no such page", "type": "invalid_request_error", "param": None,
                                  "code": "unknown_url"}})

    def remember(self, body):
        with self.owner.lock:
            self.owner.requests.append({"path": self.path, "body": body,
                                        "headers": {key.lower(): value for key, value in self.headers.items()}})

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers.get("content-length", 0))) or b"{}")
        self.remember(body)
        fault = self.owner.fault
        if fault == "refuse":
            return self.reset()
        if fault == "hang":
            time.sleep(30)
            return self.reset()
        if fault == "slow":
            time.sleep(self.owner.slow_seconds)
        if fault == "status_500":
            return self.send(500, {"error": {"message": "the upstream broke", "type": "server_error", "param": None,
                                             "code": None}})
        if fault == "status_429":
            return self.send(429, {"error": {"message": "slow down", "type": "requests", "param": None,
                                             "code": "rate_limit_exceeded"}}, headers=[("retry-after", "1")])
        if fault == "status_400":
            return self.send(400, {"error": {"message": "the upstream does not like this", "type": "BadRequestError",
                                             "code": 400}})
        if fault == "garbage":
            return self.send(200, b"<html>it works!</html>", "text/html")
        if fault == "wrong_shape":
            return self.send(200, {"surprise": [1, 2, 3]})
        path = self.path.removeprefix("/v1")
        if path == "/embeddings":
            return self.send(200, self.embeddings(body))
        if path not in ("/chat/completions", "/completions"):
            return self.send(404, {"error": {"message": "no such page", "type": "invalid_request_error",
                                             "param": None, "code": "unknown_url"}})
        chat = path == "/chat/completions"
        if body.get("stream"):
            return self.stream(body, chat)
        self.send(200, self.completion(body, chat))

    # ---- canned replies

    def head(self, body, kind):
        return {"id": "canned-1", "object": kind, "created": 1_700_000_000, "model": body.get("model", "canned")}

    def completion(self, body, chat):
        reply = self.head(body, "chat.completion" if chat else "text_completion")
        text = "".join(WORDS)
        choice = {"finish_reason": "stop", "logprobs": None}
        choice |= {"message": {"role": "assistant", "content": text}} if chat else {"text": text}
        reply["choices"] = [{"index": index, **choice} for index in range(body.get("n") or 1)]
        if self.owner.fault != "omit_usage":
            reply["usage"] = USAGE
        return reply

    def embeddings(self, body):
        given = body["input"]
        several = isinstance(given, list) and given and not isinstance(given[0], int)
        count = len(given) if several else 1
        reply = {"object": "list", "model": body.get("model", "canned"),
                 "data": [{"object": "embedding", "index": index, "embedding": [0.6, 0.8, 0.0, 0.0]}
                          for index in range(count)]}
        if self.owner.fault != "omit_usage":
            reply["usage"] = {"prompt_tokens": 3 * count, "total_tokens": 3 * count}
        return reply

    def stream(self, body, chat):
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        with self.owner.lock:
            self.owner.streams_open += 1
        try:
            self.stream_events(body, chat)
        except OSError:
            with self.owner.lock:
                self.owner.streams_abandoned += 1
            self.close_connection = True
        finally:
            with self.owner.lock:
                self.owner.streams_open -= 1

    def event(self, value):
        data = value if isinstance(value, str) else json.dumps(value)
        piece = f"data: {data}\n\n".encode()
        self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
        self.wfile.flush()

    def stream_events(self, body, chat):
        fault = self.owner.fault
        head = self.head(body, "chat.completion.chunk" if chat else "text_completion")

        def chunk(delta, text, reason=None):
            choice = {"index": 0, "finish_reason": reason, "logprobs": None}
            return head | {"choices": [choice | ({"delta": delta} if chat else {"text": text})]}

        if chat:
            self.event(chunk({"role": "assistant", "content": ""}, ""))
        for number, word in enumerate(WORDS):
            if number == 3 and fault == "die_mid_stream":
                time.sleep(0.2)                       # a reset overtakes what was sent and not yet read
                return self.reset()
            if number == 3 and fault == "end_mid_stream":
                self.wfile.write(b"0\r\n\r\n")
                return None
            if number == 3 and fault == "garbage_stream":
                self.event("{this is not JSON")
            if number == 3 and fault == "error_event":
                self.event({"error": {"message": "out of memory", "type": "server_error", "param": None, "code": None}})
                self.wfile.write(b"0\r\n\r\n")
                return None
            if fault == "slow":
                time.sleep(self.owner.slow_seconds)
            self.event(chunk({"content": word}, word))
        self.event(chunk({}, "", "stop"))
        if fault != "omit_usage" and (body.get("stream_options") or {}).get("include_usage"):
            self.event(head | {"choices": [], "usage": USAGE})
        self.event("[DONE]")
        self.wfile.write(b"0\r\n\r\n")
        return None
