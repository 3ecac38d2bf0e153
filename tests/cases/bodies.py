"""Bytes in cases: the parts of multipart bodies, and replies that are no text. README.md describes the language."""
import dataclasses
import hashlib
import json
import re

from patterns import Text, expand, fill

SIZE = r"(\d+)(?: ?(KiB|MiB|B))?"
UNITS = {None: 1, "B": 1, "KiB": 1 << 10, "MiB": 1 << 20}
PATTERN = re.compile(SIZE + r" of (\"(?:[^\"\\]|\\.)+\")")
LENGTH = re.compile(SIZE + r"(?:\.\." + SIZE + r")?(?=,|$)")
SUM = re.compile(r"sha256 (?:\$([a-z_][a-z0-9_]*)|([0-9a-f]{64}))(?=,|$)")
START = re.compile(r"starts (?:(\"(?:[^\"\\]|\\.)*\")|([0-9a-f]+))(?=,|$)")
PART_NAME = re.compile(r"part (\S+): ")
FILE = re.compile(r" as (?:\"([^\"]*)\"|(\S+))(?: (\S+/\S+))?$")


def _size(number, unit):
    return int(number) * UNITS[unit]


@dataclasses.dataclass
class Repeated:
    """`size` bytes of a text over and over."""
    size: int
    text: str

    def made(self):
        piece = self.text.encode()
        return (piece * (self.size // len(piece) + 1))[:self.size]


def read_repeated(text):
    """A Repeated at the start of `text`, and what is left of it; (None, text) when there is none."""
    found = PATTERN.match(text)
    if not found:
        return None, text
    return Repeated(_size(found[1], found[2]), json.loads(found[3])), text[found.end():]


@dataclasses.dataclass
class Part:
    name: str
    content: object                       # a pattern or a Repeated
    filename: str = None                  # None = a field, no file
    content_type: str = None

    def bytes(self, variables):
        if isinstance(self.content, Repeated):
            return self.content.made()
        value = expand(self.content.text, variables) if isinstance(self.content, Text) else fill(self.content, variables)
        return (value if isinstance(value, str) else json.dumps(value)).encode()


def read_file_name(text):
    """(file name, content type) of what stands behind a part's content; ValueError when it is not understood."""
    if not text.strip():
        return None, None
    found = FILE.match(text.rstrip())
    if not found:
        raise ValueError(f"not understood: {text.strip()!r}; a file is: as NAME [TYPE/SUBTYPE]")
    return found[1] if found[1] is not None else found[2], found[3]


def render_form(parts, variables):
    """(bytes, content type) of a multipart/form-data body."""
    contents = [part.bytes(variables) for part in parts]
    boundary = "case-" + hashlib.sha256(b"\0".join(contents)).hexdigest()[:32]
    pieces = []
    for part, content in zip(parts, contents):
        head = f'--{boundary}\r\nContent-Disposition: form-data; name="{part.name}"'
        if part.filename is not None:
            head += f'; filename="{expand(part.filename, variables)}"'
        if part.content_type is not None:
            head += f"\r\nContent-Type: {part.content_type}"
        pieces += [head.encode(), b"\r\n\r\n", content, b"\r\n"]
    return b"".join(pieces) + f"--{boundary}--\r\n".encode(), f"multipart/form-data; boundary={boundary}"


@dataclasses.dataclass
class ExpectedBytes:
    """What a reply's bytes are: in length, by their sum, by their start, or as a whole."""
    least: int
    most: int
    whole: Repeated = None
    sum: str = None
    sum_variable: str = None
    start: bytes = None

    def match(self, body, variables):
        """What differs, as sentences; a capture of the sum goes into `variables`."""
        faults = []
        if not self.least <= len(body) <= self.most:
            wanted = self.least if self.least == self.most else f"{self.least} to {self.most}"
            faults.append(f"bytes: expected {wanted}, got {len(body)}")
        if self.whole is not None and not faults and body != self.whole.made():
            wanted = self.whole.made()
            at = next(i for i, (mine, own) in enumerate(zip(wanted, body)) if mine != own)
            faults.append(f"bytes: byte {at} differs: expected {wanted[at:at + 16]!r}, got {body[at:at + 16]!r}")
        if self.start is not None and not body.startswith(self.start):
            faults.append(f"bytes: expected the start {self.start!r}, got {body[:len(self.start)]!r}")
        return faults + self._match_sum(body, variables)

    def _match_sum(self, body, variables):
        actual, wanted = hashlib.sha256(body).hexdigest(), self.sum
        if self.sum_variable is not None:
            wanted = variables.setdefault(self.sum_variable, actual)
        return [] if wanted in (None, actual) else [f"bytes: expected the sha256 {wanted}, got {actual}"]


def read_expected_bytes(text):
    """`SIZE`, `SIZE..SIZE` or `SIZE of "text"`, then `, sha256 HEX|$name` and `, starts HEX|"text"`."""
    whole, rest = read_repeated(text)
    if whole is not None:
        result = ExpectedBytes(whole.size, whole.size, whole)
    elif found := LENGTH.match(text):
        least = _size(found[1], found[2])
        result = ExpectedBytes(least, least if found[3] is None else _size(found[3], found[4]))
        rest = text[found.end():]
    else:
        raise ValueError(f'not understood: {text!r}; bytes are SIZE, SIZE..SIZE or SIZE of "text"')
    while rest:
        if not rest.startswith(", "):
            raise ValueError(f"left over: {rest!r}")
        rest = rest[2:]
        if found := SUM.match(rest):
            result.sum_variable, result.sum = found.groups()
        elif found := START.match(rest):
            result.start = json.loads(found[1]).encode("latin-1") if found[1] else bytes.fromhex(found[2])
        else:
            raise ValueError(f"not understood: {rest!r}; bytes have: sha256, starts")
        rest = rest[found.end():]
    return result


__all__ = ["ExpectedBytes", "PART_NAME", "Part", "read_expected_bytes", "read_file_name", "read_repeated",
           "render_form"]
