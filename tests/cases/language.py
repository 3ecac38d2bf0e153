"""Reads .case files into Case and Step. README.md describes the language."""
import dataclasses
import re

from bodies import PART_NAME, Part, read_expected_bytes, read_file_name, read_repeated
from patterns import PatternError, Reader, Text

REQUEST = re.compile(r"([A-Z]+) (\S+)$")
FIELD = re.compile(r"([A-Za-z][A-Za-z-]*): ?(.*)$")
EVENT = re.compile(r"(data\*?|event): ?")
REPEAT = re.compile(r"repeat: (\d+) s$")
SHORT_ERROR = re.compile(r"([a-z0-9_]+)(?: (\S+))?$")


class CaseError(Exception):
    pass


@dataclasses.dataclass
class Expected:
    status: int
    headers: list = dataclasses.field(default_factory=list)     # (name, pattern or None = must be absent)
    body: object = None                                         # a pattern; None = not looked at
    text: str = None                                            # the body as text, with "*"
    error: tuple = None                                         # (code or None, param or None)
    events: list = None                                         # (repeated, event name, pattern or "[DONE]") or ANY_EVENTS
    empty: bool = False
    bytes: object = None                                        # an ExpectedBytes


ANY_EVENTS = "..."


@dataclasses.dataclass
class Step:
    line: int
    method: str
    path: str
    auth: str = "key"
    headers: list = dataclasses.field(default_factory=list)
    body: object = None                                         # a pattern
    raw: str = None                                             # sent as it is
    merge: object = None                                        # members put over those of the body
    parts: list = None                                          # of a multipart body
    drop: str = None                                            # a member taken away
    repeat: int = None                                          # seconds in which the reply must become the expected one
    expected: Expected = None


@dataclasses.dataclass
class Case:
    file: str
    line: int
    title: str
    steps: list
    needs: set = dataclasses.field(default_factory=set)
    only: set = dataclasses.field(default_factory=set)

    @property
    def keeps_state(self):
        return any("$id" in step.path or "${" in step.path for step in self.steps[1:])


class CaseFile:
    def __init__(self, name, text):
        self.name, self.lines, self.at, self.cases = name, text.split("\n"), 0, []

    def fail(self, what):
        raise CaseError(f"{self.name}:{self.at + 1}: {what}")

    def line(self):
        return self.lines[self.at] if self.at < len(self.lines) else None

    def parse(self):
        auth, repeat, base = "key", None, None
        while (line := self.line()) is not None:
            if line.startswith("# "):
                self.cases.append(Case(self.name, self.at + 1, line[2:].strip(), []))
                auth, repeat, base = "key", None, None
                self.at += 1
            elif not line.strip() or line.startswith("##"):
                self.at += 1
            elif not self.cases:
                self.fail("a case begins with its title: # Title")
            elif line.startswith(("needs: ", "only: ")):
                word, _, values = line.partition(": ")
                getattr(self.cases[-1], word).update(values.split())
                self.at += 1
            elif line.startswith("auth: "):
                auth = line[6:].strip()
                self.at += 1
            elif found := REPEAT.match(line):
                repeat = int(found[1])
                self.at += 1
            elif REQUEST.match(line):
                base = self.request(auth)
                base.repeat = repeat
                auth, repeat = "key", None
            elif line.startswith(("with ", "without ")):
                if base is None:
                    self.fail("'with' needs a request above it")
                self.cases[-1].steps.append(self.variation(base))
            elif line.startswith("->"):
                if base is None:
                    self.fail("'->' needs a request above it")
                step = dataclasses.replace(base, expected=self.expectation())
                self.cases[-1].steps.append(step)
            else:
                self.fail(f"not understood: {line!r}")
        for case in self.cases:
            if not case.steps:
                raise CaseError(f"{self.name}:{case.line}: a case without a step")
        return self.cases

    def request(self, auth):
        method, path = REQUEST.match(self.line()).groups()
        step = Step(self.at + 1, method, path, auth)
        self.at += 1
        while (line := self.line()) is not None and (found := FIELD.match(line)) and not line.startswith("raw: "):
            step.headers.append(found.groups())
            self.at += 1
        line = self.line() or ""
        while line.startswith("part "):
            step.parts = [*(step.parts or []), self.part()]
            line = self.line() or ""
        if step.parts is not None:
            return step
        if line.startswith("raw: "):
            step.raw = self.pattern(5).text
        elif line.startswith(("{", "[", '"')):
            step.body = self.pattern(0)
        return step

    def part(self):
        """`part NAME: VALUE [as FILE [TYPE]]` or `part NAME: SIZE of "text" [as …]`; goes on behind it."""
        found = PART_NAME.match(self.line())
        if not found:
            self.fail(f"not a part: {self.line()!r}")
        content, rest = read_repeated(self.line()[found.end():])
        if content is None:
            content, rest = self.pattern_and_rest(found.end())
        else:
            self.at += 1
        try:
            return Part(found[1], content, *read_file_name(rest))
        except ValueError as error:
            self.at -= 1
            self.fail(str(error))

    def pattern(self, column):
        """Reads a pattern that begins on the current line; goes on behind it."""
        node, rest = self.pattern_and_rest(column)
        if rest.strip():
            self.at -= 1
            self.fail(f"left over: {rest!r}")
        return node

    def pattern_and_rest(self, column):
        """The same, and what follows it on its last line."""
        text = "\n".join(self.lines[self.at:])
        reader = Reader(text, column)
        try:
            node = reader.value()
        except PatternError as error:
            raise CaseError(f"{self.name}: counted from line {self.at + 1}: {error}") from None
        end = text.find("\n", reader.at)
        rest = text[reader.at:] if end < 0 else text[reader.at:end]
        self.at += text.count("\n", 0, reader.at) + 1
        return node, rest

    def variation(self, base):
        line = self.line()
        change, arrow, outcome = line.partition(" -> ")
        if not arrow:
            self.fail("'with' needs its '-> status' on the same line")
        step = dataclasses.replace(base, line=self.at + 1)
        word, _, what = change.partition(" ")
        if word == "without":
            step.drop = what.strip()
        elif what.startswith("part "):
            step.parts = self.varied_parts(base, what)
        elif what.startswith("?"):
            step.path = base.path + ("&" if "?" in base.path else "?") + what[1:].strip()
        else:
            step.merge = self.inline_pattern(what)
        step.expected = self.outcome(outcome)
        self.at += 1
        return step

    def varied_parts(self, base, what):
        """The parts of `base` with one more, or with another in the place of those of its name."""
        lines, at = self.lines, self.at
        self.lines, self.at = [what], 0
        try:
            part = self.part()
        finally:
            self.lines, self.at = lines, at
        if base.parts is None:
            self.fail("'with part' needs a request with parts above it")
        return [*(own for own in base.parts if own.name != part.name), part]

    def inline_pattern(self, text):
        reader = Reader(text)
        try:
            node = reader.value()
        except PatternError as error:
            self.fail(str(error))
        if text[reader.at:].strip():
            self.fail(f"left over: {text[reader.at:]!r}")
        return node

    def outcome(self, text):
        """STATUS, STATUS code [param], or STATUS {pattern} on one line."""
        status, _, rest = text.strip().partition(" ")
        if not status.isdigit():
            self.fail(f"not a status: {status!r}")
        expected, rest = Expected(int(status)), rest.strip()
        if rest.startswith("{"):
            expected.body = self.inline_pattern(rest)
        elif rest == "empty":
            expected.empty = True
        elif found := SHORT_ERROR.match(rest):
            expected.error = tuple(None if part in (None, "null") else part for part in found.groups())
        elif rest:
            self.fail(f"not understood: {rest!r}")
        return expected

    def expectation(self):
        expected = self.outcome(self.line()[2:])
        self.at += 1
        while (line := self.line()) is not None:
            if EVENT.match(line) or line == ANY_EVENTS:
                expected.events = self.events()
                break
            if line.startswith("bytes: "):
                try:
                    expected.bytes = read_expected_bytes(line[7:].strip())
                except ValueError as error:
                    self.fail(str(error))
                self.at += 1
                break
            if line.startswith("text: "):
                expected.text = self.pattern(6).text
                break
            if line.startswith(("{", "[")):
                expected.body = self.pattern(0)
                break
            found = FIELD.match(line)
            if not found or line.startswith(("auth: ", "needs: ", "only: ", "repeat: ")):
                break
            name, value = found.groups()
            expected.headers.append((name.lower(), None if value == "absent" else value))
            self.at += 1
        return expected

    def events(self):
        events, name = [], ""
        while (line := self.line()) is not None:
            if line == ANY_EVENTS:
                events.append(ANY_EVENTS)
                self.at += 1
                continue
            found = EVENT.match(line)
            if not found:
                break
            if found[1] == "event":
                name = line[found.end():].strip()
                self.at += 1
            elif line[found.end():] == "[DONE]":
                events.append((False, name, "[DONE]"))
                self.at += 1
                name = ""
            else:
                events.append((found[1] == "data*", name, self.pattern(found.end())))
                name = ""
        return events


def read_case_file(path):
    return CaseFile(path.name, path.read_text()).parse()


__all__ = ["ANY_EVENTS", "Case", "CaseError", "Expected", "Step", "Text", "read_case_file"]
