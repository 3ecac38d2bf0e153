"""Judges the logs of the gate: everything that the contract promises must have been produced by the tests.

src/contract/gate.cpp writes the lines; each is a JSON object with `kind` reply, error, event or violation.
"""
import json

PLANNED_STATUS = 501


def read_log(paths):
    """(the things produced as a set of tuples, the violations as sentences, complaints about the files)."""
    produced, violations, complaints = set(), [], []
    for path in paths:
        try:
            with open(path, encoding="utf-8") as lines:
                for number, line in enumerate(lines, 1):
                    _read_line(line, f"{path}:{number}", produced, violations, complaints)
        except OSError as error:
            complaints.append(f"{path}: {error.strerror}")
    return produced, violations, complaints


def _read_line(line, where, produced, violations, complaints):
    try:
        entry = json.loads(line)
        kind, operation = entry["kind"], entry["operation"]
        if kind == "reply":
            produced.add((operation, "reply", entry["status"]))
        elif kind == "error":
            produced.add((operation, "error", entry["code"]))
            produced.add((operation, "error status", entry["status"]))
        elif kind == "event":
            produced.add((operation, "event", entry["event"]))
        elif kind == "violation":
            violations.append(f"{operation or 'unknown route'}: {entry['what']}: {entry['message']}")
        else:
            complaints.append(f"{where}: unknown kind '{kind}'")
    except (ValueError, KeyError, TypeError):
        complaints.append(f"{where}: not a line of the gate")


def missing(contract, produced):
    """What the contract promises and no test has seen, as sentences."""
    result = []
    for op in contract.operations:
        if op.planned:
            if (op.name, "error status", PLANNED_STATUS) not in produced:
                result.append(f"{op.name}: planned, and its 501 was never produced")
            continue
        statuses = dict.fromkeys(reply.status for reply in op.replies)
        result += [f"{op.name}: reply {status} was never produced" for status in statuses
                   if (op.name, "reply", status) not in produced]
        result += [f"{op.name}: error '{code}' was never produced" for code in op.errors
                   if (op.name, "error", code) not in produced]
        events = [*op.events, *([op.error_event[0]] if op.names_error else []), *(op.socket.server if op.socket else [])]
        result += [f"{op.name}: event '{name}' was never produced" for name in events
                   if (op.name, "event", name) not in produced]
    return result
