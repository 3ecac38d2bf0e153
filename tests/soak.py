#!/usr/bin/env python3
"""Runs for long what the unit tests run a little of: `./dev soak jobs` calls it.

HEARTH_JOB_HISTORIES says how many random histories each database gets, HEARTH_JOB_SEED where they begin.
"""
import os
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from support import paths, postgres  # noqa: E402

AT_ONCE, LIMIT = 500, 300                              # histories of one run of the program, and the seconds that it may take


def soak_jobs():
    histories, first = int(os.environ.get("HEARTH_JOB_HISTORIES", "5000")), int(os.environ.get("HEARTH_JOB_SEED", "1"))
    with postgres.PostgresServer() as server:
        for seed in range(first, first + histories, AT_ONCE):
            count = min(AT_ONCE, first + histories - seed)
            chosen = {"HEARTH_POSTGRES": server.url, "HEARTH_JOB_SEED": str(seed), "HEARTH_JOB_HISTORIES": str(count)}
            done = subprocess.run([paths.BUILD / "src" / "unit_jobs", "--gtest_filter=*JobHistories*"], env=dict(os.environ) | chosen,
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=LIMIT)
            if done.returncode != 0:
                print(done.stdout)
                return 1
            print(f"{seed + count - first} histories on each database: every job ended once, none was lost", flush=True)
    return 0


SOAKS = {"jobs": soak_jobs}


def main():
    if len(sys.argv) != 2 or sys.argv[1] not in SOAKS:
        print(f"usage: soak.py {'|'.join(SOAKS)}", file=sys.stderr)
        return 2
    return SOAKS[sys.argv[1]]()


if __name__ == "__main__":
    sys.exit(main())
