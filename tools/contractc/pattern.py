"""Compiles the patterns of the contract to sequences of byte sets, which match in one pass and cannot run away.

Accepted: ^…$ around characters, escapes, `.` and [sets], each with an optional ? * + {m} {m,} {m,n}. Refused: groups,
alternatives, and a repetition whose bytes may also begin what follows, because that would need backtracking.
"""
UNBOUNDED = 0xFFFFFFFF
_CLASSES = {
    "d": set(range(0x30, 0x3A)),
    "w": set(range(0x30, 0x3A)) | set(range(0x41, 0x5B)) | set(range(0x61, 0x7B)) | {0x5F},
    "s": {9, 10, 11, 12, 13, 32},
}
_ESCAPES = {"n": 10, "r": 13, "t": 9, "f": 12, "v": 11, "0": 0}
_ALL = set(range(256))


class PatternError(Exception):
    pass


def compile_pattern(text):
    """A list of (byte set as a 256-bit integer, min, max)."""
    if not (text.startswith("^") and text.endswith("$")) or text.endswith("\\$"):
        raise PatternError("a pattern must be anchored: ^…$")
    atoms, at, body = [], 0, text[1:-1]
    while at < len(body):
        allowed, at = _atom(body, at)
        low, high, at = _quantifier(body, at)
        atoms.append((allowed, low, high))
    _check_deterministic(atoms)
    return [(sum(1 << byte for byte in allowed), low, high) for allowed, low, high in atoms]


def _atom(body, at):
    char = body[at]
    if char == "[":
        return _set(body, at + 1)
    if char == "\\":
        return _escape(body, at + 1)
    if char == ".":
        return _ALL - {10, 13}, at + 1
    if char in "()|^$*+?{}":
        raise PatternError(f"'{char}' is not supported here")
    if ord(char) > 127:
        raise PatternError("only ASCII characters are supported")
    return {ord(char)}, at + 1


def _escape(body, at):
    if at >= len(body):
        raise PatternError("the pattern ends in a backslash")
    char = body[at]
    if char.lower() in _CLASSES:
        members = _CLASSES[char.lower()]
        return (_ALL - members if char.isupper() else set(members)), at + 1
    if char.isalnum() and char not in _ESCAPES:
        raise PatternError(f"'\\{char}' is not supported")
    return {_ESCAPES.get(char, ord(char))}, at + 1


def _set(body, at):
    negated = body[at:at + 1] == "^"
    at += negated
    members = set()
    while True:
        if at >= len(body):
            raise PatternError("a [set] is not closed")
        if body[at] == "]":
            break
        low, at = _escape(body, at + 1) if body[at] == "\\" else ({ord(body[at])}, at + 1)
        if body[at:at + 1] == "-" and body[at + 1:at + 2] not in ("]", ""):
            high, at = _escape(body, at + 2) if body[at + 1] == "\\" else ({ord(body[at + 1])}, at + 2)
            if len(low) != 1 or len(high) != 1 or min(low) > min(high):
                raise PatternError("a range in a [set] runs backwards")
            members |= set(range(min(low), min(high) + 1))
        else:
            members |= low
    if any(member > 127 for member in members):
        raise PatternError("only ASCII characters are supported in a [set]")
    return (_ALL - members if negated else members), at + 1


def _quantifier(body, at):
    char = body[at:at + 1]
    if char in ("?", "*", "+") and char:
        return {"?": (0, 1), "*": (0, UNBOUNDED), "+": (1, UNBOUNDED)}[char] + (at + 1,)
    if char != "{":
        return 1, 1, at
    end = body.find("}", at)
    low, comma, high = body[at + 1:end].partition(",")
    if end < 0 or not low.isdigit() or (high and not high.isdigit()):
        raise PatternError("a {m,n} is not closed or not a number")
    maximum = int(high) if high else (UNBOUNDED if comma else int(low))
    if int(low) > maximum:
        raise PatternError("a {m,n} runs backwards")
    return int(low), maximum, end + 1


def _check_deterministic(atoms):
    for index, (allowed, low, high) in enumerate(atoms):
        if low == high:
            continue
        for following, minimum, _ in atoms[index + 1:]:
            if allowed & following:
                raise PatternError("a repetition is followed by something that it could take itself")
            if minimum > 0:
                break
