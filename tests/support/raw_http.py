"""HTTP/1.1 over a bare socket: sends what it is told, however wrong, and reads what comes back, however broken.

Every wait is bounded by the connection's timeout (socket.timeout, which is TimeoutError, when it is over).
"""
import dataclasses
import json
import socket
import ssl


@dataclasses.dataclass
class Response:
    status: int
    reason: str
    headers: list                      # (name in lower case, value)
    body: bytes = b""
    complete: bool = True              # False: the connection ended before the body did

    def header(self, name, default=None):
        return next((value for key, value in self.headers if key == name.lower()), default)

    def json(self):
        return json.loads(self.body)

    @property
    def error(self):
        return self.json()["error"]

    @property
    def events(self):
        return list(parse_events(self.body))


def parse_events(body):
    """(event name, data) of every event of a text/event-stream."""
    for block in body.decode().replace("\r\n", "\n").split("\n\n"):
        name, data = "", []
        for line in block.split("\n"):
            field, _, value = line.partition(":")
            value = value.removeprefix(" ")
            if field == "event":
                name = value
            elif field == "data":
                data.append(value)
        if data:
            yield name, "\n".join(data)


class Connection:
    """One connection. `target` is (host, port) or the path of a UNIX socket."""

    def __init__(self, target, timeout=30.0, tls=None):
        if isinstance(target, tuple):
            self.socket = socket.create_connection(target, timeout)
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.host = f"[{target[0]}]:{target[1]}" if ":" in target[0] else f"{target[0]}:{target[1]}"
        else:
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.settimeout(timeout)
            try:
                self.socket.connect(str(target))
            except OSError:
                self.socket.close()
                raise
            self.host = "localhost"
        if tls is not None:
            self.socket = tls.wrap_socket(self.socket, server_hostname="localhost")
        self.buffer = b""
        self.ended = False

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    def reset(self):
        """Ends the connection with a TCP reset."""
        import struct
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data if isinstance(data, bytes) else data.encode())

    def request_bytes(self, method, path, body=None, headers=None):
        fields = {"host": self.host}
        if body is not None and not isinstance(body, (bytes, str)):
            body = json.dumps(body)
            fields["content-type"] = "application/json"
        if isinstance(body, str):
            body = body.encode()
        if body is not None:
            fields["content-length"] = str(len(body))
        for name, value in (headers or {}).items():
            if value is None:
                fields.pop(name.lower(), None)
            else:
                fields[name.lower()] = value
        head = f"{method} {path} HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        return head.encode("utf-8", "surrogateescape") + b"\r\n" + (body or b"")

    def request(self, method, path, body=None, headers=None):
        self.send(self.request_bytes(method, path, body, headers))
        return self.read_response(method)

    # ---- reading

    def _fill(self):
        """More bytes into the buffer; False at the end of the connection."""
        if self.ended:
            return False
        try:
            piece = self.socket.recv(65536)
        except (ConnectionResetError, BrokenPipeError, ssl.SSLEOFError):
            piece = b""
        if not piece:
            self.ended = True
            return False
        self.buffer += piece
        return True

    def _line(self):
        while b"\r\n" not in self.buffer:
            if not self._fill():
                return None
        line, self.buffer = self.buffer.split(b"\r\n", 1)
        return line.decode("latin-1")

    def _exactly(self, count):
        while len(self.buffer) < count:
            if not self._fill():
                break
        data, self.buffer = self.buffer[:count], self.buffer[count:]
        return data

    def read_head(self):
        """The status line and fields of the next response; None when the connection ends first."""
        line = self._line()
        if line is None:
            return None
        version, status, reason = (line.split(" ", 2) + [""])[:3]
        if not version.startswith("HTTP/1."):
            raise ValueError(f"not HTTP: {line!r}")
        headers = []
        while (line := self._line()):
            name, _, value = line.partition(":")
            headers.append((name.strip().lower(), value.strip()))
        return Response(int(status), reason, headers, complete=line is not None)

    def read_pieces(self, response, method="GET"):
        """The body's pieces as they arrive; sets response.complete when it ends."""
        if method == "HEAD" or response.status in (204, 304) or response.status < 200:
            return
        if "chunked" in (response.header("transfer-encoding") or "").lower():
            while True:
                size = self._line()
                if size is None:
                    response.complete = False
                    return
                count = int(size.split(";")[0], 16)
                if count == 0:
                    while self._line():
                        pass
                    return
                piece = self._exactly(count)
                if len(piece) < count:
                    response.complete = False
                    yield piece
                    return
                yield piece
                self._exactly(2)
        elif (length := response.header("content-length")) is not None:
            piece = self._exactly(int(length))
            response.complete = len(piece) == int(length)
            yield piece
        else:
            while self._fill():
                pass
            piece, self.buffer = self.buffer, b""
            yield piece

    def read_response(self, method="GET"):
        """The next final response, whole; None when the connection ends before its first byte."""
        response = self.read_head()
        while response is not None and response.status == 100:
            response = self.read_head()
        if response is None:
            return None
        response.body = b"".join(self.read_pieces(response, method))
        return response

    def read_events(self, response):
        """(name, data) of every event of a streamed response as it arrives."""
        pending = b""
        for piece in self.read_pieces(response):
            pending += piece
            while b"\n\n" in pending:
                block, pending = pending.split(b"\n\n", 1)
                yield from parse_events(block + b"\n\n")

    def closed_by_peer(self, timeout):
        """Whether the other end closes within the time; what it still sends is dropped."""
        self.socket.settimeout(timeout)
        try:
            while self._fill():
                self.buffer = b""
            return True
        except TimeoutError:
            return False


def request(target, method, path, body=None, headers=None, timeout=30.0, tls=None):
    """One request on a connection of its own."""
    with Connection(target, timeout, tls) as connection:
        return connection.request(method, path, body, {"connection": "close", **(headers or {})})
