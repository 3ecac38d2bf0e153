"""No object takes long to compile: ten seconds, outside the few files that hold Asio and Beast, and the tests.

The build's own log tells wall-clock times, which a busy machine stretches and ccache shrinks. So they only raise a
suspicion: what took far too long is compiled once more, alone, and judged by the processor time it needs.
"""
import json
import os
import re
import resource
import shlex
import subprocess

from tree import Verdict

LOG = "build/asan/.ninja_log"
# Seconds: wall, wall, processor. The last is generous: with the sanitizers, on a loaded machine, an object that takes 10 s
# of a quiet one was seen to take more than twice as much.
NOTE, SUSPECT, LIMIT = 10.0, 45.0, 40.0
MOST = 4                                 # suspects compiled again
EXEMPT = re.compile(r"hearth_net|/asio\.cpp|cmake_pch|_test\.cpp|^tests/|^bench/|fuzz")


def check(tree):
    log = tree.root / LOG
    if not log.exists():
        return Verdict("nothing was built yet")
    times = {}
    for line in log.read_text().splitlines():
        fields = line.split("\t")
        if len(fields) == 5 and fields[3].endswith(".o") and not EXEMPT.search(fields[3]):
            times[fields[3]] = (int(fields[1]) - int(fields[0])) / 1000
    objects = {path: t for path, t in times.items() if (tree.root / "build/asan" / path).exists()}
    slow = sorted(((t, path) for path, t in objects.items() if t > NOTE), reverse=True)
    notes = [f"{_source(path)}: {t:.0f} s on the clock" for t, path in slow]
    faults = []
    for t, path in [entry for entry in slow if entry[0] > SUSPECT][:MOST]:
        seconds = _processor_seconds(tree, path)
        if seconds is not None and seconds > LIMIT:
            faults.append(f"{_source(path)}: {seconds:.0f} s of processor time, more than {LIMIT:.0f}")
    return Verdict(f"{len(objects)} objects, {len(slow)} above {NOTE:.0f} s on the clock", faults, notes)


def _source(path):
    return re.sub(r"CMakeFiles/[^/]+\.dir/", "", path).removesuffix(".o")


def _processor_seconds(tree, path):
    """None when it cannot be told."""
    database = tree.root / "build/asan/compile_commands.json"
    if not database.exists():
        return None
    for entry in json.loads(database.read_text()):
        if f" -o {path} " in entry["command"]:
            command = shlex.split(entry["command"].replace(f" -o {path} ", " -o /dev/null "))
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            done = subprocess.run(command, cwd=entry["directory"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                  env=os.environ | {"CCACHE_DISABLE": "1"}, timeout=600)
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
            return used if done.returncode == 0 else None
    return None
