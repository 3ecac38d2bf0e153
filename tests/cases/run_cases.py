#!/usr/bin/env python3
"""Runs the text cases of this folder against the real server and a real engine. README.md describes the language."""
import argparse
import base64
import concurrent.futures
import dataclasses
import fnmatch
import json
import pathlib
import re
import sys
import time
import traceback
import uuid

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

from bodies import render_form                                                     # noqa: E402
from language import ANY_EVENTS, Case, CaseError, Expected, Step, read_case_file  # noqa: E402
from patterns import PatternError, expand, fill, match, shown                      # noqa: E402
from support import certificates, hearth, paths                                    # noqa: E402
from support.gate import TcpGate                                                   # noqa: E402
from support.raw_http import request                                               # noqa: E402
from support.upstream import CannedUpstream                                        # noqa: E402

CONFIGURATIONS = ("plain", "restart", "one-byte", "postgres", "postgres-restart")
WORKERS = 4
PICTURE = base64.b64encode((HERE / "picture.png").read_bytes()).decode()
OPERATION_LINE = re.compile(r"  [ -] (op|http|auth|status): ([^#]*?)\s*(?:#.*)?$")
ERROR_TYPES = {429: ("requests", "tokens", "insufficient_quota"), 500: ("server_error",), 501: ("server_error",),
               503: ("server_error",), 504: ("server_error",)}


@dataclasses.dataclass
class Run:
    """A case on its way: what it has captured, and what went wrong."""
    case: Case
    variables: dict
    faults: list = dataclasses.field(default_factory=list)


def planned_cases():
    """One case for each operation that the contract calls planned: 501 and nothing else. Reads the few lines that
    matter itself, so that the runner needs no YAML."""
    for path in sorted((paths.ROOT / "contract" / "operations").glob("*.yaml")):
        entry = {}
        for line in [*path.read_text().splitlines(), "  - op: "]:
            found = OPERATION_LINE.match(line)
            if line.startswith("  - op:"):
                if entry.get("status") == "planned":
                    yield planned_case(path.stem, entry)
                entry = {}
            if found:
                entry[found[1]] = found[2]


def planned_case(group, entry):
    method, path = entry["http"].split()
    parts = ["x" if part.startswith("{") else part for part in path.split("/")]
    auth = {"admin_key": "admin", "none": "none"}.get(entry["auth"], "key")
    step = Step(0, method, "/".join(parts), auth, expected=Expected(501, error=("not_implemented", None)))
    if method == "POST":
        step.raw = "{}"
    return Case(f"(contract, {group})", 0, f"{entry['op']} is planned and answers 501", [step])


def load(words):
    cases = [case for path in sorted(HERE.glob("*.case")) for case in read_case_file(path)]
    cases += planned_cases()
    return [case for case in cases if all(word.lower() in f"{case.file} {case.title}".lower() for word in words)]


class Certificates:
    """What the cases of certificates name. Each case gets authorities of its own: a server takes a certificate once."""

    def __init__(self, folder):
        self.folder = folder
        self.same = {}

    def variables(self):
        if not self.same:
            root = certificates.authority(self.folder, "root")
            self.same = {
                "private_key": root.key.read_text(),
                "client_certificate": certificates.Identity(self.folder, "client", root).text,
                "expired_ca_certificate": certificates.authority(self.folder, "expired", days=-1).text,
                "weak_ca_certificate": certificates.authority(self.folder, "weak", key=["-newkey", "rsa:1024"]).text}
        return self.same | {name: certificates.authority(self.folder, uuid.uuid4().hex).text
                            for name in ("ca_certificate", "second_ca_certificate")}


class Bench:
    """The server with everything that cases may name, on one of the databases."""

    def __init__(self, database):
        self.upstream = CannedUpstream()
        models = hearth.chat_model("babble") + hearth.embedding_model("embed")
        models += hearth.chat_model("small", file=paths.small_context_model())
        models += hearth.chat_model("seer", projector=paths.projector())
        models += hearth.chat_model("plain", file=paths.plain_text_model())
        models += hearth.upstream_model("canned", [self.upstream.base_url])
        if trained := paths.trained_model():
            models += hearth.chat_model("stories", file=trained)
        config = 'default_model = "babble"\n[aliases]\n"gpt-4o" = "babble"\n[server]\ncors_origins = ["https://app.example.com"]\n'
        self.server = hearth.Hearth(models=models, config=config, database=database)
        self.gate = None
        self.certificates = Certificates(self.server.folder)

    def __enter__(self):
        self.server.start()
        return self

    def __exit__(self, kind, *_):
        try:
            if self.gate:
                self.gate.close()
            self.server.__exit__(kind)
        finally:
            self.upstream.close()

    @property
    def target(self):
        return self.gate.address if self.gate else self.server.target

    def variables(self, case):
        return {"model": "babble", "embedding_model": "embed", "small_model": "small", "upstream_model": "canned", "plain_model": "plain",
                "seeing_model": "seer", "picture": PICTURE,
                "trained_model": "stories" if paths.trained_model() else "babble", "unique": uuid.uuid4().hex,
                **self.server.keys, **(self.certificates.variables() if case.file == "certificates.case" else {})}

    # ---- one step

    def take(self, step, variables):
        """What went wrong, as lines; empty when the reply is the expected one, at once or in time."""
        if step.repeat is None:
            return self.take_once(step, variables)
        end, pause, tries = time.monotonic() + step.repeat, 0.02, 0
        while True:
            attempt = dict(variables)  # what a reply gave that was not the expected one is forgotten
            faults = self.take_once(step, attempt)
            tries += 1
            if not faults:
                variables.update(attempt)
                return []
            if time.monotonic() + pause > end:
                return [f"not within {step.repeat} s, in {tries} tries; the last one:", *faults]
            time.sleep(pause)
            pause = min(2 * pause, 0.5)

    def take_once(self, step, variables):
        try:
            body, headers = self.build(step, variables)
            path = expand(step.path, variables)
            reply = request(self.target, step.method, path, body, headers, timeout=120)
        except (OSError, PatternError, ValueError) as error:
            return [f"{type(error).__name__}: {error}"]
        if reply is None:
            return ["the connection ended without a reply"]
        try:
            faults = self.judge(step.expected, reply, variables)
        except (PatternError, ValueError) as error:
            faults = [f"{type(error).__name__}: {error}"]
        if not faults:
            return []
        sent = shown(json.loads(body), 1200) if isinstance(body, str) and body[:1] in "{[" and step.raw is None else body
        if step.parts is not None:
            sent = f"{len(body)} bytes, {', '.join(part.name for part in step.parts)}"
        text = reply.body.decode(errors="replace")
        return [*faults, f"sent: {step.method} {path}{' ' + str(sent)[:1200] if body else ''}",
                f"got: {reply.status} {text[:3000]}"]

    def build(self, step, variables):
        headers = {}
        token = {"key": variables["api_key"], "admin": variables["admin_key"], "none": None}.get(step.auth, step.auth)
        if token is not None:
            headers["authorization"] = f"Bearer {expand(token, variables)}"
        body = step.raw
        if body is not None:
            body = expand(body, variables)
        elif step.parts is not None:
            parts = [part for part in step.parts if part.name != step.drop]
            body, headers["content-type"] = render_form(parts, variables)
        elif step.body is not None:
            value = fill(step.body, variables)
            if step.merge is not None:
                value = value | fill(step.merge, variables)
            if step.drop is not None:
                value.pop(step.drop)
            body = json.dumps(value)
        if body is not None:
            headers.setdefault("content-type", "application/json")
        for name, value in step.headers:
            headers[name.lower()] = None if value == "absent" else expand(value, variables)
        return body, {name: value for name, value in headers.items() if value is not None}

    def judge(self, expected, reply, variables):
        faults = []
        if reply.status != expected.status:
            faults.append(f"status: expected {expected.status}, got {reply.status}")
        if not reply.complete:
            faults.append("the reply broke off")
        for name, value in expected.headers:
            actual = reply.header(name)
            if value is None and actual is not None:
                faults.append(f"header {name}: expected none, got {actual!r}")
            elif value is not None and (actual is None or not fnmatch.fnmatchcase(actual, expand(value, variables))):
                faults.append(f"header {name}: expected {value!r}, got {actual!r}")
        if expected.error:
            faults += self.judge_error(expected, reply)
        if expected.empty and reply.body:
            faults.append("body: expected none")
        if expected.bytes is not None:
            faults += expected.bytes.match(reply.body, variables)
        if expected.text is not None and not fnmatch.fnmatchcase(reply.body.decode(), expand(expected.text, variables)):
            faults.append(f"body: expected the text {expected.text!r}")
        if expected.body is not None:
            if not (reply.header("content-type") or "").startswith("application/json"):
                faults.append(f"content-type: expected application/json, got {reply.header('content-type')!r}")
            faults += match(expected.body, reply.json(), variables)
        if expected.events is not None:
            faults += self.judge_events(expected.events, reply, variables)
        return faults

    @staticmethod
    def judge_error(expected, reply):
        error = reply.json().get("error")
        if not isinstance(error, dict) or set(error) != {"message", "type", "param", "code"} or len(reply.json()) != 1:
            return ["not the body of an error"]
        faults = []
        for name, value in zip(("code", "param"), expected.error):
            if error[name] != value:
                faults.append(f"error.{name}: expected {value!r}, got {error[name]!r}")
        if error["type"] not in ERROR_TYPES.get(reply.status, ("invalid_request_error",)):
            faults.append(f"error.type: {error['type']!r}")
        if not isinstance(error["message"], str) or len(error["message"]) < 10:
            faults.append(f"error.message: {error['message']!r}")
        return faults

    @staticmethod
    def judge_events(expected, reply, variables):
        if not (reply.header("content-type") or "").startswith("text/event-stream"):
            return [f"content-type: expected text/event-stream, got {reply.header('content-type')!r}"]
        events, at, skipping = reply.events, 0, False

        def faults_at(position, wanted, bindings):
            _, name, pattern = wanted
            if position >= len(events):
                return [f"event {position + 1}: the stream ended"]
            got_name, data = events[position]
            if got_name != name:
                return [f"event {position + 1}: expected the name {name!r}, got {got_name!r}"]
            if pattern == "[DONE]" or data == "[DONE]":
                return [] if pattern == data else [f"event {position + 1}: got {data}"]
            return match(pattern, json.loads(data), bindings, f"event {position + 1}")

        for wanted in expected:
            if wanted == ANY_EVENTS:
                skipping = True
                continue
            if wanted[0]:
                while at < len(events) and not faults_at(at, wanted, attempt := dict(variables)):
                    variables.update(attempt)
                    at += 1
                continue
            start = at
            while True:
                attempt = dict(variables)
                faults = faults_at(at, wanted, attempt)
                if not faults:
                    variables.update(attempt)
                    at += 1
                    break
                if not skipping or at >= len(events):
                    return faults if not skipping else [f"no event from {start + 1} on matches", *faults]
                at += 1
            skipping = False
        if not skipping and at < len(events):
            return [f"event {at + 1}: not expected: {events[at][1][:300]}"]
        return []


def run_step(bench, run, number):
    if run.faults or number >= len(run.case.steps):
        return
    step = run.case.steps[number]
    try:
        faults = bench.take(step, run.variables)
    except Exception:                                             # a fault of the runner is a fault of the case
        faults = traceback.format_exc().splitlines()
    if faults:
        run.faults = [f"line {step.line}: {step.method} {step.path}", *faults]


def run_configuration(bench, configuration, cases):
    runs = [Run(case, bench.variables(case)) for case in cases]
    with concurrent.futures.ThreadPoolExecutor(WORKERS) as pool:
        if configuration.endswith("restart"):
            # Step by step through all cases, so that one restart serves them all.
            for number in range(max((len(run.case.steps) for run in runs), default=0)):
                if number > 0:
                    bench.server.restart("kill" if number % 2 else "stop")
                list(pool.map(lambda run, at=number: run_step(bench, run, at), runs))
        else:
            list(pool.map(lambda run: [run_step(bench, run, at) for at in range(len(run.case.steps))], runs))
    return runs


def chosen(configuration, cases):
    kind = {"postgres": "plain", "postgres-restart": "restart"}.get(configuration, configuration)
    cases = [case for case in cases if not case.only or kind in case.only]
    return [case for case in cases if case.keeps_state] if kind == "restart" else cases


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--configuration", action="append", choices=CONFIGURATIONS, help="all when left out")
    parser.add_argument("-k", dest="words", action="append", default=[], help="only cases with these words in file or title")
    parser.add_argument("--check", action="store_true", help="only read the files")
    options = parser.parse_args(arguments)
    try:
        cases = load(options.words)
    except CaseError as error:
        print(error)
        print("0 passed, 1 failed")
        return 1
    if options.check:
        print(f"{len(cases)} cases, {sum(len(case.steps) for case in cases)} steps")
        return 0
    passed = failed = skipped = 0
    wanted = options.configuration or CONFIGURATIONS
    for database in ("sqlite", "postgres"):
        on_it = [configuration for configuration in wanted if configuration.startswith("postgres") == (database == "postgres")]
        if not on_it:
            continue
        with Bench(database) as bench:
            for configuration in on_it:
                start = time.monotonic()
                mine = chosen(configuration, cases)
                possible = [case for case in mine if "trained" not in case.needs or paths.trained_model()]
                skipped += len(mine) - len(possible)
                if configuration == "one-byte":
                    bench.gate = TcpGate(bench.server.target, piece=1)
                runs = run_configuration(bench, configuration, possible)
                for run in runs:
                    if run.faults:
                        print(f"\nFAILED {run.case.file}:{run.case.line} ({configuration}) {run.case.title}")
                        print("\n".join(f"    {line}" for line in run.faults))
                bad = sum(bool(run.faults) for run in runs)
                passed, failed = passed + len(runs) - bad, failed + bad
                print(f"cases, {configuration}: {len(runs) - bad} passed, {bad} failed, {time.monotonic() - start:.1f} s", flush=True)
                if bench.gate:
                    bench.gate.close()
                    bench.gate = None
    print(f"{passed} passed, {failed} failed" + (f", {skipped} skipped" if skipped else ""))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
