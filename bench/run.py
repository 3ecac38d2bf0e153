#!/usr/bin/env python3
"""Runs the benches and prints their tables: `./dev bench`.

    run.py [--quick | --instant] [--record] [NAME...]      all benches without a name
    run.py --list

--quick gives rough numbers. --instant gives none: it judges only whether each bench works, whatever its targets, and ends
with one line of counts; `./dev test` does that. --record also writes what was measured to bench/RESULTS.md, with the commit,
which must be all that is in the tree.

Needs the release build with its bench programs, nginx, wrk and node; a bench whose peer is missing is skipped and says so.
The tables also go to build/bench.md. Exit status: 0 all targets met, 1 a target was missed or a bench failed, 2 wrong use.
"""
import argparse
import signal
import sys

import engine
import gateway
import micro
import overhead
import processes
import replica_writes
import results
import startup
import streams
import usage_bench
from effort import Effort

BENCHES = {
    "validator": micro.run_validator,
    "store": micro.run_store,
    "audit": micro.run_audit,
    "replicas": replica_writes.run,
    "startup": startup.run,
    "usage": usage_bench.run,
    "gateway": gateway.run,
    "overhead": overhead.run,
    "streams": streams.run,
    "engine": engine.run,
}


class Outcome:
    def __init__(self):
        self.passed, self.failed, self.skipped, self.missed = 0, 0, [], 0
        self.tables = {}  # of each bench that worked

    def run(self, name, effort):
        print(f"bench: {name} …", file=sys.stderr, flush=True)
        processes.skipped.clear()
        try:
            tables = BENCHES[name](effort)
            faults = [f"{table.title}: {fault}" for table in tables for fault in table.faults()] or ([] if tables else ["no table"])
            if faults:
                raise processes.BenchError("; ".join(faults))
        except processes.PeerMissing as missing:
            processes.skip(str(missing))
        except Exception as error:  # whatever it is, the other benches run
            self.failed += 1
            print(f"\nbench: {name} failed: {type(error).__name__}: {error}\n", file=sys.stderr, flush=True)
        else:
            self.passed += 1
            self.tables[name] = tables
            self.missed += sum(table.missed for table in tables)
        finally:
            self.skipped += [f"{name}: {reason}" for reason in processes.skipped]
            processes.stop_all()


def main():
    parser = argparse.ArgumentParser(description="Runs the benches; see bench/README.md.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(BENCHES))
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--quick", dest="effort", action="store_const", const=Effort.QUICK, help="shorter runs, rougher numbers")
    length.add_argument("--instant", dest="effort", action="store_const", const=Effort.INSTANT, help="judge only whether they work")
    parser.add_argument("--record", action="store_true", help="write the tables to bench/RESULTS.md")
    parser.add_argument("--list", action="store_true", help="name the benches")
    parser.set_defaults(effort=Effort.FULL)
    options = parser.parse_args()
    if options.list:
        print("\n".join(BENCHES))
        return 0
    if unknown := [name for name in options.names if name not in BENCHES]:
        parser.error(f"no bench {', '.join(unknown)}; there are {', '.join(BENCHES)}")
    if options.record:
        if options.effort is Effort.INSTANT:
            parser.error("--instant measures nothing that could be recorded")
        if changes := results.uncommitted_changes():
            parser.error(f"a result belongs to a commit, and these files differ from it: {', '.join(changes)}")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that what was started is stopped
    processes.raise_descriptor_limit()
    is_instant = options.effort is Effort.INSTANT
    heading = "" if is_instant else results.heading(options.effort)
    outcome = Outcome()
    for name in options.names or BENCHES:
        outcome.run(name, options.effort)
        for table in outcome.tables.get(name, []):
            print(f"\n{table.render()}", flush=True)
        if options.record and name in outcome.tables:
            results.record(name, heading, outcome.tables[name], list(BENCHES))
    if is_instant:
        for reason in outcome.skipped:
            print(f"skipped: {reason}")
        print(f"{outcome.passed} passed, {outcome.failed} failed" + (f", {len(outcome.skipped)} skipped" if outcome.skipped else ""))
        return 1 if outcome.failed else 0
    results.write_report(heading, outcome.tables)
    print(f"bench: {outcome.missed} targets missed, {outcome.failed} benches failed; tables in build/bench.md"
          + (f"; skipped: {'; '.join(outcome.skipped)}" if outcome.skipped else ""))
    return 1 if outcome.missed or outcome.failed else 0


if __name__ == "__main__":
    sys.exit(main())
