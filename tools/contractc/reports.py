"""What people and tools read about the contract: coverage, the README's table, the fuzzers' dictionary."""


def coverage(contract):
    done = sum(not op.planned for op in contract.operations)
    lines = [f"{done}/{len(contract.operations)} implemented", ""]
    width = max(map(len, contract.groups), default=0)
    for group, implemented, total in _groups(contract):
        lines.append(f"{group:<{width}}  {implemented:>2}/{total}")
    return "\n".join(lines) + "\n"


def operations_table(contract):
    """Markdown: the groups with their counts, then every operation that works."""
    lines = ["| group | implemented |", "|---|---|"]
    lines += [f"| {group} | {implemented} of {total} |" for group, implemented, total in _groups(contract)]
    done = sum(not op.planned for op in contract.operations)
    lines += [f"| **all** | **{done} of {len(contract.operations)}** |", "", "| works today | |", "|---|---|"]
    lines += [f"| `{op.method} {op.path}` | {op.summary} |" for op in contract.operations if not op.planned]
    return "\n".join(lines) + "\n"


def _groups(contract):
    for group in contract.groups:
        members = [op for op in contract.operations if op.group == group]
        yield group, sum(not op.planned for op in members), len(members)


def fuzz_dictionary(tables):
    """libFuzzer's format: one quoted token per line."""
    words = {row[0] for row in tables.fields.items}
    words |= {text for kind, text, _ in tables.values.items if kind == "string"}
    words |= {text for text, _ in tables.choices.items}
    lines = []
    for word in sorted(words):
        quoted = "".join(chr(b) if 32 <= b < 127 and b not in b'"\\' else f"\\x{b:02X}" for b in word.encode())
        lines.append(f'"\\x22{quoted}\\x22"')
    return "\n".join(lines) + "\n"
