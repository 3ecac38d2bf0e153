"""A PostgreSQL server for the tests: in a temporary folder, on a free port; it creates databases on demand.

Its collation is not byte order and its clients need a password, as on many real servers.
"""
import atexit
import ctypes
import os
import pathlib
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.parse

USER = "hearth"
PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


def programs():
    """The folder of the server's programs; None where it is not installed."""
    found = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda path: int(path.parts[-3]))
    if found:
        return found[-1].parent
    on_path = shutil.which("postgres")
    return pathlib.Path(on_path).resolve().parent if on_path else None


def _identity():
    """PostgreSQL refuses to run as root: the account to run it as."""
    if os.geteuid() != 0:
        return {}
    account = pwd.getpwnam("postgres")
    return {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}


def _free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class PostgresServer:
    """`fsync`: tests do without it, since no machine loses its power in them and databases are made by the hundred; benches do not."""

    def __init__(self, fsync="off"):
        self.fsync = fsync
        self.bin = programs()
        if self.bin is None:
            raise FileNotFoundError("PostgreSQL is not installed (./dev setup installs it)")
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="hearth-postgres-"))
        self.identity = _identity()
        if self.identity:
            os.chown(self.folder, self.identity["user"], self.identity["group"])
        self.password = secrets.token_hex(12)
        self.port = _free_port()
        self.process = None
        atexit.register(self.close)
        password_file = self.folder / "password"
        password_file.write_text(self.password)
        password_file.chmod(0o644)
        self._run("initdb", "--pgdata", self.folder / "data", "--username", USER, "--pwfile", password_file, "--auth", "scram-sha-256",
                  "--encoding", "UTF8", "--locale", "C.UTF-8", "--locale-provider", "icu", "--icu-locale", "en-US")
        password_file.unlink()
        self.start()

    def _run(self, program, *arguments):
        result = subprocess.run([self.bin / program, *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd="/",
                                env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"}, timeout=120, **self.identity)
        if result.returncode != 0:
            raise AssertionError(f"{program} failed:\n{result.stdout}")
        return result.stdout

    def start(self):
        assert self.process is None, "it runs already"
        settings = {"listen_addresses": "127.0.0.1", "port": self.port, "unix_socket_directories": self.folder, "shared_buffers": "32MB",
                    "max_connections": 200, "max_wal_size": "256MB", "logging_collector": "off", "fsync": self.fsync}
        command = [self.bin / "postgres", "-D", self.folder / "data"]
        for name, value in settings.items():
            command += ["-c", f"{name}={value}"]
        with open(self.folder / "server.log", "ab") as log:
            # Should this process be killed, the server ends too.
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/", start_new_session=True,
                                            preexec_fn=lambda: _libc.prctl(PR_SET_PDEATHSIG, signal.SIGINT), **self.identity)
        end = time.monotonic() + 60
        while subprocess.run([self.bin / "pg_isready", "-q", "-t", "5", "-h", "127.0.0.1", "-p", str(self.port)], timeout=30).returncode != 0:
            if self.process.poll() is not None or time.monotonic() > end:
                raise AssertionError(f"PostgreSQL did not start:\n{self.log()[-3000:]}")
            time.sleep(0.05)
        return self

    def stop(self, how=signal.SIGINT):
        """SIGINT: fast; SIGQUIT: at once and without a checkpoint, as `pg_ctl stop -m immediate` does."""
        if self.process is None:
            return
        self.process.send_signal(how)
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        self.process = None

    def close(self):
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def log(self):
        return (self.folder / "server.log").read_text(errors="replace")

    @property
    def url(self):
        return f"postgresql://{USER}:{self.password}@127.0.0.1:{self.port}/postgres"


class Database:
    """An empty database of its own on the server that a URL names."""

    def __init__(self, server_url):
        self._server = server_url
        self.name = f"test_{secrets.token_hex(8)}"
        run_sql(server_url, f"CREATE DATABASE {self.name}")
        self.url = on_database(server_url, self.name)

    def drop(self):
        run_sql(self._server, f"DROP DATABASE IF EXISTS {self.name} WITH (FORCE)")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.drop()


def on_database(url, name, port=None):
    """The URL with another database (and port) in it."""
    parts = urllib.parse.urlsplit(url)
    network = parts.netloc if port is None else f"{parts.netloc.rpartition(':')[0]}:{port}"
    return urllib.parse.urlunsplit(parts._replace(netloc=network, path=f"/{name}"))


def run_sql(url, sql, **values):
    """What psql prints, a row per line and columns parted by tabs; :'name' in the text stands for a value."""
    command = ["psql", "--no-psqlrc", "--quiet", "--no-align", "--tuples-only", "--field-separator", "\t", "--set", "ON_ERROR_STOP=1"]
    for name, value in values.items():
        command += ["--set", f"{name}={value}"]
    result = subprocess.run([*command, "--dbname", url], input=sql + ";\n", stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=60)
    if result.returncode != 0:
        raise AssertionError(f"psql: {result.stderr.strip()}")
    return result.stdout


_own_server = None


def server_url():
    """The server that tests/run.py has started, else one for this process."""
    global _own_server
    if url := os.environ.get("HEARTH_POSTGRES"):
        return url
    if _own_server is None:
        _own_server = PostgresServer()
    return _own_server.url
