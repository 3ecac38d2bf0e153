#!/usr/bin/env python3
"""Runs every test of a built tree: `./dev test` calls it.

    run.py [NAME...] [--fuzz-seconds N] [--list]

A NAME picks the suites that begin with it: `lint`, `unit`, `unit.net`, `tsan`, `tools`, `cases`, `system.engines`, `fuzz`, `bench`.
Prints one line per suite (with the output of what failed above it), then how long each took, and ends with one line of counts.
When all that produces replies has run, the gate judges whether they kept the contract and covered it.
"""
import argparse
import concurrent.futures
import dataclasses
import functools
import hashlib
import os
import pathlib
import re
import signal
import shutil
import subprocess
import sys
import tempfile
import threading
import time

TESTS = pathlib.Path(__file__).resolve().parent
ROOT = TESTS.parent
sys.path.insert(0, str(TESTS))

from support import paths, postgres  # noqa: E402
from support.redis_server import RedisServer  # noqa: E402

UNIT_LIMIT, TSAN_LIMIT, SUITE_LIMIT, CASES_LIMIT, BENCH_LIMIT, FUZZ_GRACE = 400, 600, 600, 900, 240, 120      # seconds
FUZZ_SECONDS, FUZZ_SECONDS_ALONE = 10, 60                                  # beside other suites; where nothing else was asked for
MINIMISE_SECONDS = 30
TSAN_ALWAYS = ("async", "db", "net")                                       # as in ./dev; the others by `./dev test tsan`
# A test forks a process that writes until it is killed, which needs threads after fork().
TSAN_OPTIONS = f"suppressions={TESTS / 'support' / 'thread_sanitizer.supp'} die_after_fork=0"
AT_ONCE = 2                                                                # suites of a kind whose suites do not need all cores
FINDINGS = ("crash", "leak", "oom", "timeout")                             # as libFuzzer names what fails; slow units do not


@dataclasses.dataclass
class Result:
    passed: int = 0
    failed: int = 0
    skipped: int = 0
    output: str = ""
    notes: list = dataclasses.field(default_factory=list)


def run_bounded(command, limit, environment=None, cwd=ROOT):
    """(exit status, output); status None when the time was over. Everything it started ends with it."""
    process = subprocess.Popen([str(part) for part in command], cwd=cwd, env=dict(os.environ) | (environment or {}),
                               stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                               errors="replace", start_new_session=True)
    try:
        output, _ = process.communicate(timeout=limit)
        return process.returncode, output
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        output, _ = process.communicate()
        return None, f"{output}\nstopped after {limit} s\n"


def from_unittest(status, output):
    ran = re.search(r"(?m)^Ran (\d+) tests?", output)
    counts = {name: int(number) for name, number in re.findall(r"(failures|errors|skipped|unexpected successes)=(\d+)",
                                                               output.rsplit("Ran ", 1)[-1])}
    total, skipped = int(ran[1]) if ran else 0, counts.pop("skipped", 0)
    failed = min(sum(counts.values()), max(total, 1))
    if status != 0 and failed == 0:
        failed = 1
    notes = [f"skipped: {reason}" for reason in re.findall(r"\.\.\. skipped ['\"](.*)['\"]", output)]
    return Result(max(total - failed - skipped, 0), failed, skipped, output, notes)


def from_counts(status, output):
    """What ends with "N passed, N failed[, N skipped]"."""
    found = re.findall(r"(?m)^(\d+) passed, (\d+) failed(?:, (\d+) skipped)?$", output)
    if not found:
        return Result(failed=1, output=output)
    passed, failed, skipped = (int(number or 0) for number in found[-1])
    return Result(passed, failed if status == 0 or failed else 1, skipped, output, re.findall(r"(?m)^skipped: .*", output))


def from_gtest(status, output):
    passed = re.search(r"\[  PASSED  \] (\d+) tests?", output)
    failures = sorted(set(re.findall(r"(?m)^\[  FAILED  \] (\S+?)(?: \(|,|$)", output)))
    failed = len(failures)
    skipped = re.search(r"\[  SKIPPED \] (\d+) tests?", output)
    if status != 0 and not failed:
        failed = 1
    # The log of what passed would push the failures out of what is shown.
    shown = re.sub(r"(?m)^\d{4}-\d\d-\d\dT\S+ info .*\n", "", output)
    return Result(int(passed[1]) if passed else 0, failed, int(skipped[1]) if skipped else 0, shown, failures)


def from_lints(status, output):
    passed, failed = len(re.findall(r"(?m)^ok ", output)), len(re.findall(r"(?m)^FAULT ", output))
    return Result(passed, failed or (1 if status else 0), 0, output)


# ---- the suites: (name, function of the options)

def unittest_suite(folder, pattern, limit=SUITE_LIMIT, top=None):
    def run(_):
        command = [sys.executable, "-m", "unittest", "discover", "-v", "-s", folder, "-p", pattern] + (["-t", top] if top else [])
        return from_unittest(*run_bounded(command, limit))
    return run


def gtest_suite(program, limit=UNIT_LIMIT, environment=None):
    return lambda _: from_gtest(*run_bounded([program, "--gtest_brief=1"], limit, environment))


def script_suite(command, read, limit, environment=None):
    return lambda _: read(*run_bounded(command, limit, environment))


def skipped_suite(reason):
    return lambda _: Result(skipped=1, notes=[f"skipped: {reason}"])


def fuzz_suite(program):
    """From the kept seeds, for the given seconds; a crash, a leak, a hang or too much memory fails. The input becomes a seed."""
    def run(options):
        name = program.name
        seeds = TESTS / "fuzz" / "seeds" / name
        limits = ["-timeout=20", "-rss_limit_mb=3000"]
        with tempfile.TemporaryDirectory(prefix="hearth-fuzz-") as fresh, tempfile.TemporaryDirectory(prefix="hearth-fuzz-") as found:
            command = [program, fresh, *([seeds] if seeds.is_dir() else []), f"-max_total_time={options.fuzz_seconds}", *limits,
                       f"-artifact_prefix={found}/", "-print_final_stats=1", "-verbosity=0", f"-dict={fuzz_dictionary()}"]
            status, output = run_bounded(command, options.fuzz_seconds + FUZZ_GRACE)
            kept = [keep_finding(program, limits, path, seeds) for path in sorted(pathlib.Path(found).iterdir())
                    if path.name.startswith(FINDINGS)]
        executed = re.search(r"stat::number_of_executed_units: (\d+)", output)
        notes = [f"{executed[1]} inputs"] if executed else []
        notes += [f"found {path.relative_to(ROOT)}: commit it together with the correction" for path in kept]
        return Result(int(status == 0), int(status != 0), 0, output[-20_000:], notes)
    return run


def keep_finding(program, limits, path, seeds):
    """Adds the input to the seeds, as small as a short while makes it; every later run begins with it."""
    if path.name.startswith("crash"):
        small = path.with_name("small")
        run_bounded([program, path, "-minimize_crash=1", f"-max_total_time={MINIMISE_SECONDS}", f"-exact_artifact_path={small}", *limits],
                    MINIMISE_SECONDS + FUZZ_GRACE)
        if small.exists():
            path = small
    content = path.read_bytes()
    seeds.mkdir(parents=True, exist_ok=True)
    kept = seeds / f"found_{hashlib.sha256(content).hexdigest()[:12]}"
    kept.write_bytes(content)
    return kept


@functools.cache
def fuzz_dictionary():
    """The file with the contract's words. The first call must have ended before another begins."""
    path = paths.BUILD / "contract.dict"
    status, output = run_bounded([sys.executable, ROOT / "tools" / "contractc" / "contractc", "fuzz-dict"], 60)
    if status != 0:
        raise RuntimeError(f"contractc fuzz-dict: {output}")
    path.write_text(output)
    return path


def suites(names):
    lint = ROOT / "tools" / "lint" / "run.py"
    if lint.exists():
        yield "lint", script_suite([sys.executable, lint], from_lints, SUITE_LIMIT)
    for folder in sorted({path.parent for path in (ROOT / "tools").glob("*/test_*.py")} | {TESTS / "cases", ROOT / "models" / "starter"}):
        yield f"tools.{folder.name}", unittest_suite(folder, "test_*.py")
    for program in programs(paths.BUILD / "src", "unit_"):
        yield f"unit.{program.name.removeprefix('unit_')}", gtest_suite(program)
    # Programs that an earlier build left are not run as if they were current: unless named, only those that `./dev test` builds.
    wanted_by_name = any(name.startswith("tsan") for name in names)
    for program in programs(paths.TSAN_BUILD / "src", "unit_"):
        layer = program.name.removeprefix("unit_")
        if wanted_by_name or layer in TSAN_ALWAYS:
            yield f"tsan.{layer}", gtest_suite(program, TSAN_LIMIT, {"TSAN_OPTIONS": TSAN_OPTIONS})
    yield "cases", script_suite([sys.executable, TESTS / "cases" / "run_cases.py"], from_counts, CASES_LIMIT)
    for path in sorted((TESTS / "system").glob("test_*.py")):
        yield f"system.{path.stem.removeprefix('test_')}", unittest_suite(TESTS / "system", path.name, top=TESTS)
    for program in programs(paths.BUILD / "tests" / "fuzz", "fuzz_"):
        yield f"fuzz.{program.name.removeprefix('fuzz_')}", fuzz_suite(program)
    yield from bench_suites()


def programs(folder, prefix):
    return [path for path in sorted(folder.glob(f"{prefix}*")) if path.is_file() and os.access(path, os.X_OK)]


def bench_suites():
    """Every bench for an instant: whether it works, whatever it measures."""
    bench = ROOT / "bench" / "run.py"
    if not (paths.RELEASE_BUILD / "bench" / "load_client").exists():
        yield "bench", skipped_suite(f"{paths.RELEASE_BUILD} holds no benches")
        return
    status, output = run_bounded([sys.executable, bench, "--list"], 60)
    if status != 0:
        raise RuntimeError(f"bench/run.py --list: {output}")
    for name in output.split():
        yield f"bench.{name}", script_suite([sys.executable, bench, "--instant", name], from_counts, BENCH_LIMIT,
                                            {"HEARTH_BUILD": str(paths.RELEASE_BUILD)})


def judge_gate(folder):
    files = sorted(pathlib.Path(folder).glob("*.jsonl"))
    if not files:
        cache = paths.BUILD / "CMakeCache.txt"
        if cache.exists() and "HEARTH_GATE:BOOL=ON" in cache.read_text():
            return Result(failed=1, output="the gate of this build saw nothing\n")
        return Result(skipped=1, notes=["skipped: this build has no gate"])
    status, output = run_bounded([sys.executable, ROOT / "tools" / "contractc" / "contractc", "gate", *files], 120)
    return Result(int(status == 0), int(status != 0), 0, output)


class Report:
    def __init__(self):
        self.total, self.lock, self.failures, self.seconds = Result(), threading.Lock(), [], {}

    def add(self, name, result, seconds):
        with self.lock:
            self.seconds[name] = seconds
            self.total.passed += result.passed
            self.total.failed += result.failed
            self.total.skipped += result.skipped
            if result.failed:
                self.failures.append(name)
                print(f"\n----- {name}\n{result.output.rstrip()[-20_000:]}\n-----")
            counts = f"{result.passed} passed" + (f", {result.failed} FAILED" if result.failed else "") + \
                (f", {result.skipped} skipped" if result.skipped else "")
            print(f"{name:24} {counts:40} {seconds:7.1f} s  {'; '.join(result.notes)}".rstrip(), flush=True)

    def run(self, name, function, options):
        start = time.monotonic()
        try:
            result = function(options)
        except Exception as error:                                       # a suite that cannot start has failed
            result = Result(failed=1, output=f"{type(error).__name__}: {error}")
        self.add(name, result, time.monotonic() - start)

    def times(self):
        """The suites by how long they took, the longest first, four to a line."""
        cells = [f"{seconds:7.1f} s  {name:24}" for name, seconds in sorted(self.seconds.items(), key=lambda item: -item[1])]
        return "\n".join("".join(cells[at:at + 4]).rstrip() for at in range(0, len(cells), 4))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("names", nargs="*", help="only suites that begin with these names")
    parser.add_argument("--fuzz-seconds", type=int, help=f"for each fuzzer; {FUZZ_SECONDS_ALONE} where only fuzzers run, else {FUZZ_SECONDS}")
    parser.add_argument("--list", action="store_true", help="name the suites")
    options = parser.parse_args()
    if options.fuzz_seconds is None:
        only_fuzzers = options.names and all(name.startswith("fuzz") for name in options.names)
        options.fuzz_seconds = int(os.environ.get("HEARTH_FUZZ_SECONDS") or (FUZZ_SECONDS_ALONE if only_fuzzers else FUZZ_SECONDS))
    everything = list(suites(options.names))
    chosen = [suite for suite in everything if not options.names or any(suite[0].startswith(name) for name in options.names)]
    if options.list:
        print("\n".join(name for name, _ in everything))
        return 0
    if not chosen:
        print(f"no suite begins with {' or '.join(options.names)}\n0 passed, 1 failed")
        return 1

    def of(*kinds):
        return [suite for suite in chosen if suite[0].split(".")[0] in kinds]

    report, start = Report(), time.monotonic()
    gate_folder = tempfile.mkdtemp(prefix="hearth-gate-")
    os.environ["HEARTH_GATE_FOLDER"] = gate_folder
    if of("cases", "system", "unit", "tsan"):
        os.environ["HEARTH_LLAMA_SERVER"] = str(paths.llama_server())    # what the unit tests of engine/ ask for
        os.environ["HEARTH_TINY_MODEL"] = str(paths.chat_model())
        os.environ["HEARTH_TINY_PROJECTOR"] = str(paths.projector())
        for model in (paths.chat_model, paths.embedding_model, paths.small_context_model, paths.plain_text_model, paths.slow_model):
            model()                                                      # written once, before suites run side by side
        server = postgres.PostgresServer()                               # ends with this process
        os.environ["HEARTH_POSTGRES"] = server.url
    redis = RedisServer() if of("unit", "tsan") and RedisServer.available() else None
    try:
        if of("fuzz"):
            fuzz_dictionary()
        if redis:
            os.environ["HEARTH_REDIS"] = redis.start().socket_url            # what the unit tests of domain/ ask for
        for name, function in of("lint", "tools", "unit", "tsan", "cases"):
            report.run(name, function, options)
        for kind in ("system", "fuzz", "bench"):
            with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
                list(pool.map(lambda suite: report.run(*suite, options), of(kind)))
        if len(of("cases", "system")) == len([name for name, _ in everything if name.split(".")[0] in ("cases", "system")]):
            report.run("gate", lambda _: judge_gate(gate_folder), options)
    finally:
        if redis:
            redis.__exit__()
        shutil.rmtree(gate_folder, ignore_errors=True)
    print(f"\n{report.times()}\n\n{time.monotonic() - start:.0f} s in all" + (f"; failed: {' '.join(report.failures)}" if report.failures else ""))
    total = report.total
    if total.skipped:
        print(f"skipped: {total.skipped}, each named above with its reason")
    print(f"{total.passed} passed, {total.failed} failed")
    return 1 if total.failed else 0


if __name__ == "__main__":
    sys.exit(main())
