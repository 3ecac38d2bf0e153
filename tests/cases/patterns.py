"""JSON with matchers: how cases write request bodies and the replies they expect. README.md describes the language.

parse() makes a tree of the node classes below; fill() makes a request's JSON of it; match() compares a reply with it
and returns what differs. Variables are a plain dict that match() adds captures to.
"""
import dataclasses
import json
import re
import time

SECONDS_PER_DAY = 86_400
ANY_MORE = object()                       # "..." in an object or a list


class PatternError(ValueError):
    pass


@dataclasses.dataclass
class Constant:
    value: object


@dataclasses.dataclass
class Text:
    """A string; ${name} and ${x*9} inside it are filled in."""
    text: str


@dataclasses.dataclass
class Glob:
    text: str                             # "*" stands for any text


@dataclasses.dataclass
class Kind:
    name: str


@dataclasses.dataclass
class Variable:
    name: str
    inner: object = None                  # what a captured value must match


@dataclasses.dataclass
class Members:
    members: dict
    more: bool


@dataclasses.dataclass
class Items:
    items: list                           # nodes, (count, node) for "count of node", ANY_MORE
    each: object = None


@dataclasses.dataclass
class Either:
    arms: list


KINDS = {
    "any": lambda v: True,
    "string": lambda v: isinstance(v, str),
    "text": lambda v: isinstance(v, str) and v != "",
    "int": lambda v: isinstance(v, int) and not isinstance(v, bool),
    "count": lambda v: isinstance(v, int) and not isinstance(v, bool) and v > 0,
    "number": lambda v: isinstance(v, (int, float)) and not isinstance(v, bool),
    "bool": lambda v: isinstance(v, bool),
    "object": lambda v: isinstance(v, dict),
    "list": lambda v: isinstance(v, list),
    "now": lambda v: isinstance(v, int) and abs(v - time.time()) < SECONDS_PER_DAY,
    "json": lambda v: isinstance(v, str) and _is_json(v),
}


def _is_json(text):
    try:
        json.loads(text)
        return True
    except ValueError:
        return False


class Reader:
    """Reads one pattern from `text` at `at`; stops behind it."""

    TOKEN = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null")
    NAME = re.compile(r"\$([a-z_][a-z0-9_]*)")
    KIND = re.compile(r"<([a-z]+)>")
    COUNT = re.compile(r"(\d+)\s+of\s+")

    def __init__(self, text, at=0):
        self.text, self.at = text, at

    def fail(self, what):
        line = self.text.count("\n", 0, self.at) + 1
        raise PatternError(f"line {line}: {what} at {self.text[self.at:self.at + 30]!r}")

    def space(self):
        while self.at < len(self.text) and self.text[self.at] in " \t\r\n":
            self.at += 1

    def take(self, word):
        self.space()
        if self.text.startswith(word, self.at):
            self.at += len(word)
            return True
        return False

    def expect(self, word):
        if not self.take(word):
            self.fail(f"expected {word!r}")

    def matched(self, expression):
        self.space()
        if found := expression.match(self.text, self.at):
            self.at = found.end()
        return found

    def string(self):
        self.space()
        if not self.text.startswith('"', self.at):
            self.fail("expected a string")
        try:
            value, self.at = json.decoder.scanstring(self.text, self.at + 1)
        except ValueError as error:
            self.fail(str(error))
        return value

    def value(self):
        arms = [self.single()]
        while True:
            before = self.at
            if not self.take("|"):
                self.at = before
                break
            arms.append(self.single())
        return arms[0] if len(arms) == 1 else Either(arms)

    def single(self):
        self.space()
        if self.take("{"):
            return self.members()
        if self.take("["):
            return self.list()
        if self.take("~"):
            return Glob(self.string())
        if found := self.matched(self.KIND):
            if found[1] not in KINDS:
                self.fail(f"unknown kind <{found[1]}>")
            return Kind(found[1])
        if found := self.matched(self.NAME):
            return Variable(found[1], self.single() if self.text.startswith("=", self.at) and self.take("=") else None)
        if self.text.startswith('"', self.at):
            return Text(self.string())
        if self.take("*"):
            return Kind("any")
        if found := self.matched(self.TOKEN):
            return Constant(json.loads(found[0]))
        self.fail("expected a value")

    def members(self):
        members, more = {}, False
        if self.take("}"):
            return Members(members, more)
        while True:
            if self.take("..."):
                more = True
            else:
                name = self.string()
                self.expect(":")
                members[name] = self.value()
            if self.take("}"):
                return Members(members, more)
            self.expect(",")

    def list(self):
        items = []
        if self.take("]"):
            return Items(items)
        if self.take("each "):
            each = self.value()
            self.expect("]")
            return Items([], each)
        while True:
            if self.take("..."):
                items.append(ANY_MORE)
            elif found := self.matched(self.COUNT):
                items.append((int(found[1]), self.value()))
            else:
                items.append(self.value())
            if self.take("]"):
                return Items(items)
            self.expect(",")


def expand(text, variables):
    """Fills in ${name} and ${x*9} (nine times x)."""
    def one(found):
        inner = found[1]
        if repeated := re.fullmatch(r"(.+)\*(\d+)", inner, re.S):
            return repeated[1] * int(repeated[2])
        if inner not in variables:
            raise PatternError(f"${{{inner}}} is not known here")
        return str(variables[inner])
    return re.sub(r"\$\{([^}]+)\}", one, text)


def fill(node, variables):
    """The JSON value of a request."""
    match node:
        case Constant(value):
            return value
        case Text(text):
            return expand(text, variables)
        case Variable(name, _):
            if name not in variables:
                raise PatternError(f"${name} is not known here")
            return variables[name]
        case Members(members, _):
            return {name: fill(inner, variables) for name, inner in members.items()}
        case Items(items, _):
            result = []
            for item in items:
                count, inner = item if isinstance(item, tuple) else (1, item)
                result += [fill(inner, variables)] * count
            return result
    raise PatternError(f"{type(node).__name__} can stand in an expected reply only")


def shown(value, limit=160):
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= limit else text[:limit] + "…"


def match(node, value, variables, at="$"):
    """What differs, as sentences; captures go into `variables`."""
    match node:
        case Constant(expected):
            same = value == expected and isinstance(value, bool) == isinstance(expected, bool)
            return [] if same else [f"{at}: expected {shown(expected)}, got {shown(value)}"]
        case Text(text):
            expected = expand(text, variables)
            return [] if value == expected else [f"{at}: expected {shown(expected)}, got {shown(value)}"]
        case Glob(text):
            parts = [re.escape(part) for part in expand(text, variables).split("*")]
            good = isinstance(value, str) and re.fullmatch(".*".join(parts), value, re.S)
            return [] if good else [f"{at}: expected ~{shown(text)}, got {shown(value)}"]
        case Kind(name):
            return [] if KINDS[name](value) else [f"{at}: expected <{name}>, got {shown(value)}"]
        case Variable(name, inner):
            if name in variables:
                same = variables[name] == value
                return [] if same else [f"{at}: expected ${name} = {shown(variables[name])}, got {shown(value)}"]
            faults = match(inner, value, variables, at) if inner is not None else []
            if not faults:
                variables[name] = value
            return faults
        case Either(arms):
            faults = [match(arm, value, variables, at) for arm in arms]
            return [] if any(not fault for fault in faults) else [" or ".join(fault[0] for fault in faults)]
        case Members(members, more):
            return _match_members(members, more, value, variables, at)
        case Items(items, each):
            return _match_items(items, each, value, variables, at)
    raise PatternError(f"cannot match {node!r}")


def _match_members(members, more, value, variables, at):
    if not isinstance(value, dict):
        return [f"{at}: expected an object, got {shown(value)}"]
    faults = [f"{at}.{name}: missing" for name in members if name not in value]
    if not more:
        faults += [f"{at}.{name}: not expected: {shown(inner)}" for name, inner in value.items() if name not in members]
    for name, node in members.items():
        if name in value:
            faults += match(node, value[name], variables, f"{at}.{name}")
    return faults


def _match_items(items, each, value, variables, at):
    if not isinstance(value, list):
        return [f"{at}: expected a list, got {shown(value)}"]
    if each is not None:
        return [fault for index, item in enumerate(value) for fault in match(each, item, variables, f"{at}[{index}]")]
    nodes = []
    for item in items:
        nodes += [item[1]] * item[0] if isinstance(item, tuple) else [item]
    if ANY_MORE not in nodes:
        if len(value) != len(nodes):
            return [f"{at}: expected {len(nodes)} items, got {len(value)}: {shown(value)}"]
        return [fault for index, node in enumerate(nodes)
                for fault in match(node, value[index], variables, f"{at}[{index}]")]
    return _match_with_gaps(nodes, value, 0, variables, at)


def _match_with_gaps(nodes, value, index, variables, at):
    """The nodes against value[index:], where ANY_MORE stands for any number of items: the first way that fits."""
    if not nodes:
        return [] if index == len(value) else [f"{at}: expected {index} items, got {len(value)}: {shown(value)}"]
    if nodes[0] is ANY_MORE:
        nearest = None
        for start in range(index, len(value) + 1):
            attempt = dict(variables)
            faults = _match_with_gaps(nodes[1:], value, start, attempt, at)
            if not faults:
                variables.update(attempt)
                return []
            nearest = nearest or faults
        return nearest
    if index == len(value):
        return [f"{at}: expected at least {index + sum(node is not ANY_MORE for node in nodes)} items, got {len(value)}"]
    return match(nodes[0], value[index], variables, f"{at}[{index}]") or \
        _match_with_gaps(nodes[1:], value, index + 1, variables, at)
