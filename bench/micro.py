"""The micro benches, which are programs of their own: the validator, and durable creates in the store."""
import json
import os
import subprocess
import sys

from processes import PROGRAMS, ROOT, BenchError
from table import Table, median

sys.path.append(str(ROOT / "tests"))
from support.postgres import PostgresServer  # noqa: E402

MOST_MICROSECONDS = 10.0


def run_validator(quick):
    command = [PROGRAMS / "validate_bench", "--benchmark_format=json", f"--benchmark_repetitions={3 if quick else 7}",
               f"--benchmark_min_time={0.1 if quick else 0.5}"]
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


def run_store(quick):
    """Prints its own tables and says by its status whether the target was met."""
    with PostgresServer() as server:
        result = subprocess.run([PROGRAMS / "store_bench", "1" if quick else "3"], stdout=subprocess.PIPE, text=True, timeout=900,
                                env=os.environ | {"HEARTH_POSTGRES": server.url})
    table = StoreReport(result.stdout.strip())
    table.missed = int(result.returncode != 0)
    return [table]


def run_audit(quick):
    """As run_store()."""
    command = [PROGRAMS / "audit_bench", "100000" if quick else "1000000"]
    result = subprocess.run(command, stdout=subprocess.PIPE, text=True, timeout=600)
    table = StoreReport(result.stdout.strip(), "Audit log: pages of it, filtered")
    table.missed = int(result.returncode != 0)
    return [table]


class StoreReport:
    def __init__(self, text, title="Store: durable creates of stored completions"):
        self.text, self.title, self.missed = text, title, 0

    def __str__(self):
        return f"## {self.title}\n\n{self.text}\n"
