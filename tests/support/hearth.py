"""The server under test as a process: started on a folder of its own, waited for, stopped, killed, started again.

When it stops, its log is read: a report of a sanitizer, or an exit that was not clean, fails the test.
"""
import atexit
import itertools
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time

from . import paths, postgres
from .raw_http import Connection, request

SANITIZER_REPORT = re.compile(
    r"ERROR: (?:AddressSanitizer|LeakSanitizer|ThreadSanitizer)|WARNING: ThreadSanitizer|runtime error:|"
    r"UndefinedBehaviorSanitizer|terminate called|Assertion .* failed")
_count = itertools.count(1)


class HearthError(AssertionError):
    """The server misbehaved; the message ends with the tail of its log."""


def free_port(host="127.0.0.1"):
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.bind((host, 0))
        return probe.getsockname()[1]


def toml_text(value):
    """A string, number, boolean or list as TOML writes it."""
    return json.dumps(str(value) if isinstance(value, pathlib.Path) else value)


def model_table(name, **members):
    return f"[models.{toml_text(name)}]\n" + "".join(f"{key} = {toml_text(v)}\n" for key, v in members.items()) + "\n"


def chat_model(name="babble", file=None, **members):
    return model_table(name, file=file or paths.chat_model(), **members)


def embedding_model(name="embed", **members):
    return model_table(name, file=paths.embedding_model(), capabilities=["embedding"], **members)


def upstream_model(name, base_urls, **members):
    return model_table(name, base_urls=base_urls, **members)


class Hearth:
    """`models` is TOML (see chat_model and its siblings), `config` is any further TOML, `settings` become --set. `database`:
    "sqlite", "postgres" (a new database of its own, gone at the end) or the URL of a database."""

    def __init__(self, models=None, config="", settings=None, listen=None, data=None, environment=None, engine=True,
                 database="sqlite"):
        self._own = tempfile.TemporaryDirectory(prefix="hearth-test-")
        self.folder = pathlib.Path(self._own.name)
        self.data = pathlib.Path(data) if data else self.folder / "data"
        self.log_path = self.folder / "hearth.log"
        self.bootstrap_path = self.folder / "bootstrap.json"
        self.listen = listen or f"127.0.0.1:{free_port()}"
        self.environment = environment or {}
        self.settings = dict(settings or {})
        self._database = postgres.Database(postgres.server_url()) if database == "postgres" else None
        self.database_url = self._database.url if self._database else None if database == "sqlite" else database
        self.extra = []                   # further arguments
        self.process = None
        self.keys = {}
        text = config + ("\n" if config else "")
        if engine and "[engines]" not in config:
            text += f"[engines]\nllama_server = {toml_text(paths.llama_server())}\nthreads = 1\n\n"
        text += chat_model() if models is None else models
        self.config_path = self.folder / "hearth.toml"
        self.config_path.write_text(text)
        atexit.register(self._last_resort)

    # ---- life

    def command(self):
        command = [paths.BINARY, "serve", "--data", self.data, "--listen", self.listen, "--bootstrap", self.bootstrap_path,
                   "--config", self.config_path]
        for key, value in self.settings.items():
            command += ["--set", f"{key}={value}"]
        return [str(part) for part in command + self.extra]

    def start(self, wait="ready", timeout=90):
        """`wait`: "ready" (the default model has produced a token), "alive" (it answers), or None."""
        assert self.process is None, "it runs already"
        environment = {key: value for key, value in os.environ.items() if not key.startswith("HEARTH_")}
        environment |= {"ASAN_OPTIONS": "detect_leaks=1:exitcode=99:detect_stack_use_after_return=0",
                        "UBSAN_OPTIONS": "print_stacktrace=1", "HOME": str(self.folder)}
        if folder := os.environ.get("HEARTH_GATE_FOLDER"):
            environment["HEARTH_GATE_LOG"] = f"{folder}/{os.getpid()}-{next(_count)}.jsonl"
        if self.database_url:
            environment["HEARTH_DATABASE_URL"] = self.database_url
        environment |= self.environment
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(self.command(), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            env=environment, start_new_session=True)
        if wait:
            self.wait_for("/readyz" if wait == "ready" else "/healthz", timeout)
            if self.bootstrap_path.exists():
                self.keys = json.loads(self.bootstrap_path.read_text())
        return self

    def wait_for(self, path, timeout=90):
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            if self.process.poll() is not None:
                raise HearthError(f"the server ended with {self.process.returncode}{self.log_tail()}")
            try:
                if request(self.target, "GET", path, timeout=10).status == 200:
                    return
            except (OSError, AttributeError, ValueError):
                pass
            time.sleep(0.05)
        raise HearthError(f"{path} did not answer 200 within {timeout} s{self.log_tail()}")

    def __enter__(self):
        return self if self.process else self.start()

    def __exit__(self, kind, *_):
        try:
            if self.process is not None:
                self.stop() if kind is None else self.kill()
        finally:
            self.remove()

    def stop(self, timeout=30):
        """SIGTERM, and the end must be clean: status 0, no report of a sanitizer, no engine left."""
        children = self.engines()
        self.process.send_signal(signal.SIGTERM)
        try:
            status = self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            raise HearthError(f"the server did not end within {timeout} s of SIGTERM{self.log_tail()}") from None
        self.process = None
        self.check_log()
        if status != 0:
            raise HearthError(f"the server ended with {status} after SIGTERM{self.log_tail()}")
        left = [pid for pid in children if _is_running(pid)]
        self._kill_engines(left)
        if left:
            raise HearthError(f"engines were left running: {left}")

    def kill(self):
        """kill -9. Its engines must end by themselves; they get two seconds."""
        if self.process is None:
            return []
        children = self.engines()
        self.process.kill()
        self.process.wait()
        self.process = None
        end = time.monotonic() + 2
        while (left := [pid for pid in children if _is_running(pid)]) and time.monotonic() < end:
            time.sleep(0.02)
        self._kill_engines(left)
        return left

    def restart(self, how="stop", **start):
        self.stop() if how == "stop" else self.kill()
        return self.start(**start)

    def remove(self):
        if keep := os.environ.get("HEARTH_KEEP_LOGS"):
            pathlib.Path(keep).mkdir(parents=True, exist_ok=True)
            shutil.copy(self.log_path, pathlib.Path(keep) / f"{self.folder.name}.log")
        if self._database:
            self._database.drop()
        self._own.cleanup()

    def _last_resort(self):
        if self.process is not None:
            self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    @staticmethod
    def _kill_engines(pids):
        for pid in pids:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass

    # ---- looking at it

    @property
    def target(self):
        """What Connection takes: (host, port) or the path of a UNIX socket."""
        if self.listen.startswith("unix:"):
            return self.listen.removeprefix("unix:")
        host, _, port = self.listen.rpartition(":")
        return host.strip("[]"), int(port)

    @property
    def base_url(self):
        return f"http://{self.listen}/v1"

    @property
    def api_key(self):
        return self.keys["api_key"]

    def log(self):
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def log_tail(self, lines=25):
        return "\n--- the server's log ends with\n" + "\n".join(self.log().splitlines()[-lines:])

    def check_log(self):
        if found := SANITIZER_REPORT.search(self.log()):
            raise HearthError(f"the server's log holds a report:\n{self.log()[max(0, found.start() - 200):][:6000]}")

    def engines(self):
        """Process ids of the engines it runs now."""
        return _children(self.process.pid, "llama-server") if self.process else []

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def resident_bytes(self):
        pages = int(pathlib.Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    def metrics(self):
        """{'name{labels}': value}"""
        text = request(self.target, "GET", "/metrics").body.decode()
        pairs = (line.rsplit(" ", 1) for line in text.splitlines() if line and not line.startswith("#"))
        return {name: float(value) for name, value in pairs}

    def metric(self, name):
        """The sum over all labels."""
        return sum(value for key, value in self.metrics().items() if key.split("{")[0] == name)

    # ---- talking to it

    def headers(self, headers=None):
        fields = {"authorization": f"Bearer {self.api_key}"} if self.keys else {}
        return fields | (headers or {})

    def request(self, method, path, body=None, headers=None, timeout=60):
        return request(self.target, method, path, body, self.headers(headers), timeout)

    def request_as(self, method, path, body, headers, timeout=60):
        """With these header fields and no key of its own."""
        return request(self.target, method, path, body, headers, timeout)

    def get(self, path, **more):
        return self.request("GET", path, **more)

    def post(self, path, body, **more):
        return self.request("POST", path, body, **more)

    def connect(self, timeout=30):
        return Connection(self.target, timeout)

    def open_stream(self, path, body, timeout=60):
        """A connection on which a streamed reply has begun, and its head."""
        connection = Connection(self.target, timeout)
        connection.send(connection.request_bytes("POST", path, body | {"stream": True}, self.headers()))
        return connection, connection.read_head()


def chat(text="Tell me a story.", model="babble", **more):
    return {"model": model, "messages": [{"role": "user", "content": text}], **more}


def endless_chat(model="slow", **more):
    """A request whose answer does not end for some seconds."""
    return chat("Tell me a long story.", model, max_completion_tokens=3000,
                logit_bias={str(paths.end_of_turn_token()): -100}, **more)


def eventually(condition, timeout=10.0, what="it"):
    """Waits until the condition holds and returns what it returned."""
    end = time.monotonic() + timeout
    while True:
        if value := condition():
            return value
        if time.monotonic() > end:
            raise AssertionError(f"{what} did not happen within {timeout} s")
        time.sleep(0.03)


def _is_running(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def _children(parent, name):
    """Descendants of a process whose program has that name."""
    by_parent = {}
    for entry in pathlib.Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            head, tail = (entry / "stat").read_text().rsplit(")", 1)
        except OSError:
            continue
        if tail.split()[0] != "Z":
            by_parent.setdefault(int(tail.split()[1]), []).append((int(entry.name), head.split("(", 1)[1]))
    found, open_parents = [], [parent]
    while open_parents:
        for pid, program in by_parent.get(open_parents.pop(), []):
            open_parents.append(pid)
            if program == name[:15]:
                found.append(pid)
    return found
