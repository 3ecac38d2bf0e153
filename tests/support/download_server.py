"""A file server like those of the model hubs, with the faults of a network."""
import hashlib
import http.server
import socket
import struct
import threading

FAULTS = {
    "break_off":     "resets the connection after half of what was asked for, each time",
    "break_once":    "the same, the first time only",
    "short":         "announces more bytes than it has",
    "long":          "announces fewer bytes than the file has",
    "no_ranges":     "ignores range requests",
    "wrong_bytes":   "sends other bytes than the checksum it announces",
    "not_found":     "answers 404",
    "status_500":    "answers 500",
    "redirect":      "sends the client on to another address of its own",
    "redirect_loop": "sends the client round and round",
}


class DownloadServer:
    """Serves `content` at any path. `fault` is one of FAULTS or None; `requests` are (path, range header)."""

    def __init__(self, content, fault=None):
        self.content, self.fault, self.requests = content, fault, []
        owner = self

        class Handler(_Handler):
            server_state = owner

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, request, client_address):
                pass

        self._server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_state = None

    def log_message(self, *_):
        pass

    def do_HEAD(self):
        self.do_GET()

    def refuse(self, status, headers=()):
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("content-length", "0")
        self.end_headers()

    def do_GET(self):
        state = self.server_state
        state.requests.append((self.path, self.headers.get("range")))
        if state.fault == "not_found":
            return self.refuse(404)
        if state.fault == "status_500":
            return self.refuse(500)
        if state.fault == "redirect_loop" or (state.fault == "redirect" and not self.path.startswith("/cdn/")):
            return self.refuse(302, [("location", f"{state.url}/cdn{self.path}")])
        content, start, status = state.content, 0, 200
        asked = self.headers.get("range")
        if asked and state.fault != "no_ranges":
            start = int(asked.removeprefix("bytes=").split("-")[0])
            if start >= len(content):
                return self.refuse(416, [("content-range", f"bytes */{len(content)}")])
            status = 206
        body = content[start:]
        announced = len(body) + {"short": 1000, "long": -1000}.get(state.fault, 0)
        digest = hashlib.sha256(content).hexdigest()
        self.send_response(status)
        if status == 206:
            self.send_header("content-range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        if state.fault != "no_ranges":
            self.send_header("accept-ranges", "bytes")
        self.send_header("etag", f'"{digest}"')
        self.send_header("x-linked-etag", f'"{digest}"')
        self.send_header("x-linked-size", str(len(content)))
        self.send_header("content-length", str(announced))
        self.end_headers()
        if self.command == "HEAD":
            return None
        if state.fault == "wrong_bytes":
            body = body[:-1] + bytes([body[-1] ^ 1])
        if state.fault in ("break_off", "break_once"):
            if state.fault == "break_once":
                state.fault = None
            self.wfile.write(body[:max(1, len(body) // 2)])
            self.wfile.flush()
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 0, 0))
            self.connection.shutdown(socket.SHUT_RDWR)
            self.close_connection = True
            return None
        self.wfile.write(body)
        if state.fault in ("short", "long"):
            self.wfile.flush()
            self.connection.shutdown(socket.SHUT_RDWR)
            self.close_connection = True
        return None
