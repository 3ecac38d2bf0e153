"""What was measured last: build/bench.md for whoever ran it, bench/RESULTS.md for everyone, each bench with its commit."""
import os
import platform
import re
import subprocess
import time

from processes import ROOT

RESULTS = ROOT / "bench" / "RESULTS.md"
HEAD = """\
# Results

The tables of the last full run of each bench, with the commit that was measured. `./dev bench --record [NAME...]` writes them;
whoever changes the path of a request does so for `gateway`. Compare ratios, not rates: machines differ.
"""
SECTION = re.compile(r"(?m)^## (?P<name>\w+)\n\n(?P<body>.*?)(?=^## |\Z)", re.DOTALL)


def _git(*words):
    return subprocess.run(["git", *words], cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout


def uncommitted_changes():
    """Paths in which the tree differs from its commit, the results themselves aside."""
    lines = _git("status", "--porcelain").splitlines()
    return [path for path in (line[3:] for line in lines) if path != str(RESULTS.relative_to(ROOT))]


def heading(effort):
    """The line about a run that begins now: its commit, day and machine."""
    model = next((line.split(":", 1)[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), platform.machine())
    try:
        commit = f"Commit `{_git('rev-parse', 'HEAD').strip()}`"
    except (OSError, subprocess.CalledProcessError):  # no checkout
        commit = "Unknown commit"
    return (f"{commit}, {time.strftime('%Y-%m-%d')}, {effort.value} run on "
            f"{len(os.sched_getaffinity(0))} cores of {model}, load {os.getloadavg()[0]:.1f} at the start.")


def write_report(head, tables):
    parts = [f"# Benches\n\n{head}\n", *(table.render() for of_bench in tables.values() for table in of_bench)]
    (ROOT / "build").mkdir(exist_ok=True)
    (ROOT / "build" / "bench.md").write_text("\n".join(parts))


def record(name, head, tables, order):
    """Replaces the bench's section; the sections stand in the given order."""
    sections = dict(SECTION.findall(RESULTS.read_text())) if RESULTS.exists() else {}
    sections[name] = "\n".join([f"{head}\n", *(table.render(3) for table in tables)])
    RESULTS.write_text("\n".join([HEAD, *(f"## {each}\n\n{sections[each].strip()}\n" for each in order if each in sections)]))
