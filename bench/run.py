#!/usr/bin/env python3
"""Runs the benches and prints their tables: `./dev bench`.

    run.py [--quick] [NAME...]      gateway overhead engine streams startup usage store audit validator; all without a name

Needs the release build with its bench programs, nginx, wrk and node. The tables also go to build/bench.md. Exit status:
0 all targets met, 1 a target was missed or a bench failed, 2 wrong use.
"""
import argparse
import os
import platform
import signal
import sys
import time

import engine
import gateway
import micro
import overhead
import processes
import startup
import streams
import usage_bench

BENCHES = {
    "validator": micro.run_validator,
    "store": micro.run_store,
    "audit": micro.run_audit,
    "startup": startup.run,
    "usage": usage_bench.run,
    "gateway": gateway.run,
    "overhead": overhead.run,
    "streams": streams.run,
    "engine": engine.run,
}


def main():
    parser = argparse.ArgumentParser(description="Runs the benches; see bench/README.md.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(BENCHES))
    parser.add_argument("--quick", action="store_true", help="shorter runs, rougher numbers")
    options = parser.parse_args()
    if unknown := [name for name in options.names if name not in BENCHES]:
        parser.error(f"no bench {', '.join(unknown)}; there are {', '.join(BENCHES)}")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that what was started is stopped
    processes.raise_descriptor_limit()
    report = [f"# Benches\n\n{_machine()}, {time.strftime('%Y-%m-%d')}{', quick' if options.quick else ''}.\n"]
    missed = failed = 0
    for name in options.names or BENCHES:
        print(f"bench: {name} …", file=sys.stderr, flush=True)
        try:
            for table in BENCHES[name](options.quick):
                missed += table.missed
                report.append(str(table))
                print(f"\n{table}", flush=True)
        except (processes.BenchError, OSError) as error:
            failed += 1
            report.append(f"## {name}\n\nfailed: {error}\n")
            print(f"\nbench: {name} failed: {error}\n", file=sys.stderr, flush=True)
        finally:
            processes.stop_all()
    (processes.ROOT / "build").mkdir(exist_ok=True)
    (processes.ROOT / "build" / "bench.md").write_text("\n".join(report))
    print(f"bench: {missed} targets missed, {failed} benches failed; tables in build/bench.md")
    return 1 if missed or failed else 0


def _machine():
    model = next((line.split(":", 1)[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), platform.machine())
    return f"{len(os.sched_getaffinity(0))} cores of {model}, load {os.getloadavg()[0]:.1f} at the start"


if __name__ == "__main__":
    sys.exit(main())
