"""The programs that benches run: started on ephemeral ports of 127.0.0.1, waited for, stopped, all at the end."""
import atexit
import http.client
import json
import os
import pathlib
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
BENCH = ROOT / "bench"
BUILD = pathlib.Path(os.environ.get("HEARTH_BUILD", ROOT / "build" / "release")).resolve()
PROGRAMS = BUILD / "bench"
# High enough to refuse nothing, so that every limit is looked at and none ends a bench: the defaults would.
HIGH_LIMITS = "[limits]\nrequests_per_minute = 100000000\ntokens_per_minute = 100000000000000\nrequests_per_day = 100000000000\n"
_started = []


class BenchError(Exception):
    pass


class PeerMissing(Exception):
    """What the bench compares with is not on this machine."""


# What was left out of the bench that runs, and why.
skipped = []


def skip(reason):
    skipped.append(reason)
    print(f"bench: {reason}", file=sys.stderr, flush=True)


def need(name, program):
    if shutil.which(program) is None:
        raise PeerMissing(f"{name} is not installed")


def raise_descriptor_limit():
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard if hard != resource.RLIM_INFINITY else 65536, hard))


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def work_folder(name):
    path = pathlib.Path(tempfile.mkdtemp(prefix=f"hearth-bench-{name}-"))
    atexit.register(shutil.rmtree, path, ignore_errors=True)
    return path


class Process:
    """A server with its log in a file. `health` is asked until it answers 200."""

    def __init__(self, name, command, port, health=None, environment=None, folder=None):
        self.name, self.port = name, port
        self.folder = folder or work_folder(name)
        self.log_path = self.folder / f"{name}.log"
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen([str(part) for part in command], stdin=subprocess.DEVNULL, stdout=log,
                                            stderr=log, env=environment, cwd=self.folder, start_new_session=True)
        _started.append(self)
        self._wait(health)

    def _wait(self, health, timeout=120):
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            if self.process.poll() is not None:
                raise BenchError(f"{self.name} ended with {self.process.returncode}:\n{self.log_tail()}")
            try:
                if health is None:
                    socket.create_connection(("127.0.0.1", self.port), 1).close()
                    return
                if get(self.port, health)[0] == 200:
                    return
            except (OSError, http.client.HTTPException):
                pass
            time.sleep(0.02)
        raise BenchError(f"{self.name} was not ready within {timeout} s:\n{self.log_tail()}")

    def log_tail(self):
        return "\n".join(self.log_path.read_text(errors="replace").splitlines()[-15:])

    def resident_bytes(self):
        return resident_bytes(self.process.pid)

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                pass
        try:  # its children too
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()
        if self in _started:
            _started.remove(self)


def stop_all():
    for process in list(_started):
        process.stop()


atexit.register(stop_all)


def resident_bytes(pid):
    return int(pathlib.Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def get(port, path, timeout=10, headers=None):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        connection.request("GET", path, headers=headers or {})
        reply = connection.getresponse()
        return reply.status, reply.read()
    finally:
        connection.close()


def post(port, path, body, headers=None, timeout=120):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        connection.request("POST", path, json.dumps(body), {"content-type": "application/json", **(headers or {})})
        reply = connection.getresponse()
        return reply.status, reply.read()
    finally:
        connection.close()


def canned_upstream(chunks=20, pace=0):
    port = free_port()
    return Process("canned_upstream", [PROGRAMS / "canned_upstream", "--port", port, "--chunks", chunks, "--pace", pace], port)


class Hearth(Process):
    """The release build as a user runs it: authentication, usage and the request log are on. So are limits, high ones; a bench
    that needs others has a section [limits] in its `config`."""

    def __init__(self, models, config="", folder=None, ready="/readyz", wrap=(), build=BUILD):
        folder = folder or work_folder("hearth")
        bootstrap = folder / "bootstrap.json"
        (folder / "hearth.toml").write_text((config if "[limits]" in config else HIGH_LIMITS + config) + "\n" + models)
        port = free_port()
        environment = {k: v for k, v in os.environ.items() if not k.startswith("HEARTH_")} | {"HOME": str(folder)}
        super().__init__("hearth", [*wrap, build / "hearth", "serve", "--data", folder / "data", "--listen", f"127.0.0.1:{port}",
                                    "--bootstrap", bootstrap, "--config", folder / "hearth.toml"],
                         port, ready, environment, folder)
        self.bootstrap = json.loads(bootstrap.read_text())
        self.key = self.bootstrap["api_key"]

    @property
    def headers(self):
        return {"authorization": f"Bearer {self.key}"}


def upstream_model(name, port):
    return f'[models."{name}"]\nbase_urls = ["http://127.0.0.1:{port}/v1"]\ncapabilities = ["chat"]\n'


def load(port, body_file, connections, *more, key=""):
    """Runs load_client (see its head) and returns what it prints."""
    command = [PROGRAMS / "load_client", "--port", port, "--body", body_file, "--connections", connections, *more]
    if key:
        command += ["--key", key]
    result = subprocess.run([str(part) for part in command], stdout=subprocess.PIPE, text=True, timeout=900)
    if result.returncode != 0:
        raise BenchError(f"load_client ended with {result.returncode}")
    return json.loads(result.stdout)
