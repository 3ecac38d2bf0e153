"""The micro benches, which are programs of their own: the validator, and durable creates in the store."""
import json
import os
import subprocess
import sys

from processes import PROGRAMS, ROOT, BenchError
from table import PrintedTable, Table, median

sys.path.append(str(ROOT / "tests"))
from support.postgres import PostgresServer  # noqa: E402

MOST_MICROSECONDS = 10.0


def run_validator(effort):
    repetitions, seconds = effort.choose((7, 0.5), (3, 0.1), (1, 0.001))
    command = [PROGRAMS / "validate_bench", "--benchmark_format=json", f"--benchmark_repetitions={repetitions}",
               f"--benchmark_min_time={seconds}"]
    result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, timeout=300)
    if result.returncode != 0:
        raise BenchError(f"validate_bench ended with {result.returncode}")
    times, bytes_ = {}, 0
    for run in json.loads(result.stdout)["benchmarks"]:
        if run["run_type"] == "iteration":
            if run.get("error_occurred"):
                raise BenchError(run["error_message"])
            times.setdefault(run["run_name"], []).append(run["cpu_time"] / 1000)
            bytes_ = int(run.get("bytes", bytes_))
    table = Table(f"Validator: a chat request of {bytes_:,} bytes", ["", "median µs", "target"])
    for name, values in times.items():
        is_judged = name.startswith("validate")
        table.add(name, f"{median(values):.1f}", f"< {MOST_MICROSECONDS:.0f}" if is_judged else "",
                  holds=median(values) < MOST_MICROSECONDS if is_judged else None)
    return [table]


def run_store(effort):
    with PostgresServer(fsync="on") as server:
        return [_printed("Store: durable creates of stored completions",
                         [PROGRAMS / "store_bench", effort.choose("3", "1", "0.02"), effort.choose("3", "3", "1")],
                         os.environ | {"HEARTH_POSTGRES": server.url})]


def run_audit(effort):
    return [_printed("Audit log: pages of it, filtered", [PROGRAMS / "audit_bench", effort.choose("1000000", "100000", "2000")])]


def _printed(title, command, environment=None):
    """What a program printed that prints its own tables; its status is 1 when a target was missed."""
    result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=900, env=environment)
    if result.returncode not in (0, 1):
        raise BenchError(f"{command[0].name} ended with {result.returncode}: {(result.stdout + result.stderr)[-2000:]}")
    return PrintedTable(title, result.stdout.strip(), result.returncode == 1)
