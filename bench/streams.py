"""A thousand streams held at once by a server on two cores: none is dropped, and what each costs in memory."""
import json
import os
import shutil
import threading
import time

import gateway
from processes import BenchError, Hearth, canned_upstream, load, upstream_model, work_folder
from table import Table

MOST_KIB = 64


def run(effort):
    streams, chunks, pace = effort.choose((1000, 20, 1000), (1000, 8, 1000), (100, 3, 200))
    body_file = work_folder("streams") / "body.json"
    body_file.write_text(json.dumps(gateway.request_body(True), separators=(",", ":")))
    upstream = canned_upstream(chunks, pace)
    hearth = Hearth(upstream_model("canned", upstream.port), wrap=_two_cores())
    load(hearth.port, body_file, 8, "--requests", 1, key=hearth.key)  # warm
    idle = hearth.resident_bytes()
    results = []
    client = threading.Thread(target=lambda: results.append(load(hearth.port, body_file, streams, "--requests", 1, "--deadline",
                                                                 120, key=hearth.key)))
    client.start()
    peak, end = idle, time.monotonic() + 180
    while client.is_alive() and time.monotonic() < end:
        peak = max(peak, hearth.resident_bytes())
        time.sleep(0.1)
    client.join()
    if not results:
        raise BenchError("the client failed")
    hearth.stop()
    upstream.stop()
    result = results[0]
    if result["requests"] == 0:
        raise BenchError(f"no stream ended well: {result['reasons']}")
    each = (peak - idle) / streams / 1024
    table = Table(f"Streams: {streams:,} held at once on two cores", ["", "value", "target"],
                  f"{chunks} events a stream, one each {pace} ms.")
    table.add("streams that ended well", result["requests"], streams, holds=result["requests"] == streams, is_speed=False)
    table.add("dropped or failed", f"{result['failed']} {result['reasons']}".strip(), 0, holds=result["failed"] == 0, is_speed=False)
    table.add("memory for each stream", f"{each:.1f} KiB", f"< {MOST_KIB} KiB", holds=each < MOST_KIB)
    table.add("memory before / at most", f"{idle >> 20} MiB / {peak >> 20} MiB", "")
    return [table]


def _two_cores():
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) <= 2 or not shutil.which("taskset"):
        return []
    return ["taskset", "-c", f"{cores[0]},{cores[1]}"]
