"""A TCP gate: stands between a client and a server and cuts, delays, splits or throttles what passes."""
import socket
import threading
import time


class TcpGate:
    """Listens on 127.0.0.1 and forwards to `target`. The faults may be changed at any time; they hold for bytes that
    pass from then on.

    piece       bytes per write (0 = as they come)
    delay       seconds before each write
    cut_after   bytes from the server after which a connection is reset (None = never)
    refuse      close new connections at once
    """

    def __init__(self, target, piece=0, delay=0.0, cut_after=None):
        self.target, self.piece, self.delay, self.cut_after, self.refuse = target, piece, delay, cut_after, False
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.address = self._listener.getsockname()[:2]
        self._open, self._lock, self._closing = set(), threading.Lock(), False
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self._closing = True
        self._listener.close()
        self.cut()

    def cut(self):
        """Ends every connection that passes now."""
        with self._lock:
            sockets = list(self._open)
        for one in sockets:
            self._end(one)

    def _end(self, one):
        with self._lock:
            self._open.discard(one)
        try:
            one.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        one.close()

    def _accept(self):
        while not self._closing:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            if self.refuse:
                client.close()
                continue
            try:
                server = socket.create_connection(self.target, 10)
            except OSError:
                client.close()
                continue
            for one in (client, server):
                one.settimeout(None)
                one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._lock:
                self._open |= {client, server}
            halves = threading.Semaphore(2)          # the last of the two pumps closes both sockets
            for source, sink, from_server in ((client, server, False), (server, client, True)):
                threading.Thread(target=self._pump, args=(source, sink, from_server, halves), daemon=True).start()

    def _pump(self, source, sink, from_server, halves):
        halves.acquire()
        passed = 0
        try:
            while data := source.recv(65536):
                while data:
                    size = self.piece or len(data)
                    if from_server and self.cut_after is not None:
                        if passed >= self.cut_after:
                            raise ConnectionAbortedError
                        size = min(size, self.cut_after - passed)
                    if self.delay:
                        time.sleep(self.delay)
                    sink.sendall(data[:size])
                    passed += min(size, len(data))
                    data = data[size:]
            sink.shutdown(socket.SHUT_WR)            # a half-closed connection stays so
        except OSError:
            self._end(source)
            self._end(sink)
        if not halves.acquire(blocking=False):
            self._end(source)
            self._end(sink)
