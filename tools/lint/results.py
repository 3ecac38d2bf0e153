"""bench/RESULTS.md has a table of every bench, each with the commit that was measured."""
import re
import subprocess
import sys

from tree import Verdict

PATH = "bench/RESULTS.md"
SECTION = re.compile(r"(?m)^## (\w+)\n(.*?)(?=^## |\Z)", re.DOTALL)
COMMIT = re.compile(r"(?m)^Commit `[0-9a-f]{40}`, \d{4}-\d\d-\d\d, (full|quick) run on ")
TABLE = re.compile(r"(?m)^### .+$(?:\n(?!#).*)*")
ROW = re.compile(r"(?m)^\|(?![-:| ]+\|$).*\|$")
GATEWAY = [f"| {kind} | {connections} |" for kind in ("plain", "stream") for connections in (1, 32)]
AGAIN = "./dev bench --record {}"


def check(tree):
    listed = subprocess.run([sys.executable, "bench/run.py", "--list"], cwd=tree.root, check=True, stdout=subprocess.PIPE, text=True)
    if not tree.exists(PATH):
        return Verdict(PATH, [], [f"nothing was recorded yet: {AGAIN.format('').strip()}"])
    return judge(tree.text(PATH), listed.stdout.split())


def judge(text, names):
    """The verdict on a text, where benches of these names exist."""
    sections = dict(SECTION.findall(text))
    faults, notes = [], []
    for name in names:
        section = sections.get(name, "")
        found = COMMIT.search(section)
        if not found:
            faults.append(f"{PATH}: no commit was recorded for {name}: {AGAIN.format(name)}")
            continue
        if found[1] != "full":
            notes.append(f"{PATH}: {name} was a {found[1]} run")
        tables = TABLE.findall(section)
        if not tables or any(len(ROW.findall(table)) < 2 for table in tables):  # the head and a row
            faults.append(f"{PATH}: {name} has a table without rows: {AGAIN.format(name)}")
        elif name == "gateway":
            faults += [f"{PATH}: gateway lacks the row {row}" for row in GATEWAY if row not in tables[0]]
    faults += [f"{PATH}: there is no bench {name}" for name in sections if name not in names]
    return Verdict(f"{len(sections)} benches", faults, notes)
