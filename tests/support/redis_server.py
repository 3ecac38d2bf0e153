"""A real redis-server in a temporary folder, on a UNIX socket and a free port of 127.0.0.1."""
import pathlib
import shutil
import subprocess
import tempfile
import time
from urllib.parse import quote

from support.hearth import free_port


class RedisServer:
    """`available()` tells whether the program is installed. start() and kill() may be repeated; what it held is gone after kill()."""

    def __init__(self, password=None):
        self._folder = tempfile.TemporaryDirectory(prefix="hearth-redis-")
        self.folder, self.password, self.process = pathlib.Path(self._folder.name), password, None
        self.socket, self.port = self.folder / "redis.sock", free_port()

    @staticmethod
    def available():
        return shutil.which("redis-server") is not None

    @property
    def url(self):
        user = f":{quote(self.password, safe='')}@" if self.password else ""
        return f"redis://{user}127.0.0.1:{self.port}/1"

    @property
    def socket_url(self):
        user = f":{quote(self.password, safe='')}@" if self.password else ""
        return f"redis+unix://{user}{self.socket}"

    def start(self):
        command = ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--unixsocket", str(self.socket), "--save", "",
                   "--appendonly", "no", "--dir", str(self.folder)]
        if self.password:
            command += ["--requirepass", self.password]
        with open(self.folder / "log", "ab") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        end = time.monotonic() + 10
        while not self.socket.exists():
            if self.process.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"redis-server did not start: {(self.folder / 'log').read_text()[-2000:]}")
            time.sleep(0.02)
        return self

    def kill(self):
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None
        self.socket.unlink(missing_ok=True)

    def __enter__(self):
        return self if self.process else self.start()

    def __exit__(self, *_):
        self.kill()
        self._folder.cleanup()
