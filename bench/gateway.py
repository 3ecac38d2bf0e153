"""Hearth between a client and an upstream that answers at once, against nginx and a gateway in the same place.

Throughput: wrk, closed loop. Added time: load_client at a pace that all can hold, against the upstream without anything
between (a saturated server's latency says nothing but its throughput). The candidates take turns in every repetition.
"""
import json
import os
import subprocess

from processes import (BENCH, BenchError, Hearth, Process, canned_upstream, free_port, load, need, post, skip, upstream_model,
                       work_folder)
from table import Table, median

LEAST_RATIO, MOST_ADDED = 0.5, 1.0  # of nginx's requests a second; milliseconds
PACES = {"plain": 500, "stream": 100}
SETTINGS = [("plain", 1), ("plain", 32), ("stream", 1), ("stream", 32)]
WRK, NGINX_PROGRAM = "wrk", "/usr/sbin/nginx"

NGINX = """\
daemon off; worker_processes {workers}; pid {folder}/nginx.pid; error_log {folder}/error.log; {user}
events {{ worker_connections 4096; }}
http {{
  access_log {folder}/access.log; keepalive_requests 1000000000;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  upstream canned {{ server 127.0.0.1:{upstream}; keepalive 256; keepalive_requests 1000000000; }}
  server {{
    listen 127.0.0.1:{port};
    location / {{ proxy_pass http://canned; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_buffering off; }}
  }}
}}
"""


class Candidate:
    def __init__(self, name, process, headers=None):
        self.name, self.process, self.headers = name, process, headers or {}


def request_body(stream):
    body = {"model": "canned", "temperature": 0.7, "max_completion_tokens": 256,
            "messages": [{"role": "system", "content": "You are terse. " * 20},
                         {"role": "user", "content": "Tell me something. " * 30}]}
    return body | ({"stream": True} if stream else {})


def run(effort):
    need("wrk", WRK)
    need("nginx", NGINX_PROGRAM)
    rounds, seconds, paced_seconds = effort.choose((6, 2, 3), (3, 1, 2), (1, 1, 0.2))
    bodies = write_bodies()
    upstream = canned_upstream()
    candidates = [Candidate("upstream", upstream), Candidate("nginx", start_nginx(upstream.port))]
    hearth = Hearth(upstream_model("canned", upstream.port))
    candidates.append(Candidate("Hearth", hearth, hearth.headers))
    if portkey := start_portkey(upstream.port):
        candidates.append(portkey)
    greet(candidates)
    tables = [throughput(candidates, bodies, rounds, seconds), added_time(candidates[:3], bodies, rounds, paced_seconds)]
    for candidate in reversed(candidates):
        candidate.process.stop()
    return tables


def write_bodies():
    """The file of each kind of request."""
    folder = work_folder("gateway")
    bodies = {}
    for kind in ("plain", "stream"):
        bodies[kind] = folder / f"{kind}.json"
        bodies[kind].write_text(json.dumps(request_body(kind == "stream"), separators=(",", ":")))
    return bodies


def greet(candidates):
    """Everyone must answer before anyone is measured."""
    for candidate in candidates:
        for is_stream in (False, True):
            status, reply = post(candidate.process.port, "/v1/chat/completions", request_body(is_stream), candidate.headers)
            if status != 200:
                raise BenchError(f"{candidate.name} answers {status}: {reply[:300]}")


def measure_rates(candidates, body_file, connections, rounds, seconds):
    """{name: requests a second in each round}. The candidates take turns, forwards and backwards; the first round of several warms up."""
    rates = {candidate.name: [] for candidate in candidates}
    for turn in range(rounds):
        for candidate in candidates[:: -1 if turn % 2 else 1]:
            rates[candidate.name].append(wrk(candidate, body_file, connections, seconds))
    return {name: without_warm_up(values) for name, values in rates.items()}


def without_warm_up(values):
    return values[1:] if len(values) > 1 else values


def throughput(candidates, bodies, rounds, seconds):
    names = [candidate.name for candidate in candidates]
    table = Table("Gateway: chat completions a second", ["replies", "connections", *names, "Hearth / nginx", "target"],
                  "The upstream's replies are canned: 600 bytes of JSON, or 20 events. Authentication, limits, usage and the request log are on.")
    for kind, connections in SETTINGS:
        rates = measure_rates(candidates, bodies[kind], connections, rounds, seconds)
        ratio = median(ours / theirs for ours, theirs in zip(rates["Hearth"], rates["nginx"]))
        table.add(kind, connections, *(f"{median(rates[name]):,.0f}" for name in names), f"{ratio:.2f}",
                  f"≥ {LEAST_RATIO}", holds=ratio >= LEAST_RATIO)
    return table


def added_time(candidates, bodies, rounds, seconds):
    table = Table("Gateway: added time", ["replies", "connections", "requests/s", "p99 upstream", "p99 nginx", "p99 Hearth",
                                          "added p50", "added p99", "target"], "In milliseconds, to the end of the reply.")
    for kind, connections in SETTINGS:
        times = {candidate.name: [] for candidate in candidates}
        for _ in range(rounds):
            for candidate in candidates:
                key = getattr(candidate.process, "key", "")
                result = load(candidate.process.port, bodies[kind], connections, "--rate", PACES[kind], "--seconds", seconds, key=key)
                if result["failed"]:
                    raise BenchError(f"{candidate.name}: {result['reasons']}")
                times[candidate.name].append(result)
        times = {name: without_warm_up(values) for name, values in times.items()}
        p99 = {name: median(value["p99"] for value in values) for name, values in times.items()}
        added = p99["Hearth"] - p99["upstream"]
        added_p50 = median(v["p50"] for v in times["Hearth"]) - median(v["p50"] for v in times["upstream"])
        table.add(kind, connections, PACES[kind], *(f"{p99[name]:.2f}" for name in ("upstream", "nginx", "Hearth")),
                  f"{added_p50:.2f}", f"{added:.2f}", f"< {MOST_ADDED}", holds=added < MOST_ADDED)
    return table


def wrk(candidate, body_file, connections, seconds):
    headers = "\n".join(f"{name}: {value}" for name, value in candidate.headers.items())
    result = subprocess.run([WRK, "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "10s", "-s", str(BENCH / "post.lua"),
                             f"http://127.0.0.1:{candidate.process.port}/v1/chat/completions"],
                            env=os.environ | {"BENCH_BODY": str(body_file), "BENCH_HEADERS": headers},
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=seconds + 60)
    lines = [line for line in result.stdout.splitlines() if line.startswith("{")]
    if not lines:
        raise BenchError(f"wrk against {candidate.name}:\n{result.stdout[-1000:]}")
    numbers = json.loads(lines[-1])
    if numbers["failed"]:
        raise BenchError(f"{candidate.name}: {numbers['failed']} of {numbers['requests']} requests failed")
    return numbers["requests"] / numbers["seconds"]


def start_nginx(upstream):
    folder, port = work_folder("nginx"), free_port()
    (folder / "nginx.conf").write_text(NGINX.format(folder=folder, port=port, upstream=upstream, workers=os.cpu_count(),
                                                    user="user root;" if os.geteuid() == 0 else ""))
    return Process("nginx", [NGINX_PROGRAM, "-p", folder, "-e", folder / "error.log", "-c", folder / "nginx.conf"], port, folder=folder)


def start_portkey(upstream):
    """The npm package, pinned by package-lock.json; None, with a word, where npm cannot bring it.

    package.json holds back @hono/node-server: with later ones this gateway answers every stream with 500. Its streams
    are slow by intent: it waits 25 ms before a stream's first event.
    """
    cache = BENCH.parent / "build" / "bench-peer"
    program = cache / "node_modules" / "@portkey-ai" / "gateway" / "build" / "start-server.js"
    lock = cache / "package-lock.json"
    if not program.exists() or not lock.exists() or lock.read_bytes() != (BENCH / "package-lock.json").read_bytes():
        cache.mkdir(parents=True, exist_ok=True)
        for name in ("package.json", "package-lock.json"):
            (cache / name).write_bytes((BENCH / name).read_bytes())
        done = subprocess.run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"], cwd=cache)
        if done.returncode != 0 or not program.exists():
            skip("npm does not bring @portkey-ai/gateway; the table goes without it")
            return None
    port = free_port()
    process = Process("portkey", ["node", program, f"--port={port}", "--headless"], port,
                      environment=os.environ | {"NODE_ENV": "production"})
    return Candidate("@portkey-ai/gateway", process, {"authorization": "Bearer none", "x-portkey-provider": "openai",
                                                      "x-portkey-custom-host": f"http://127.0.0.1:{upstream}/v1"})
