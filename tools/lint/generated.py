"""Documents that are written from data say what the data says, and the contract has no fault."""
import os
import subprocess

from tree import Verdict

PYTHON = "/usr/bin/python3"  # Debian's, which has python3-yaml
BEGIN, END = "<!-- operations -->", "<!-- /operations -->"
DESCRIPTION = "../shared/spec/openapi.yaml"  # the official one; compared with where it lies beside the checkout


def check_documents(tree):
    faults = []
    checked = ["README.md"]
    if fault := _operations_table(tree):
        faults.append(fault)
    binary = tree.root / "build/asan/hearth"
    if binary.exists():
        checked.append("docs/CONFIG.md")
        faults += _config_page(tree, binary)
    return Verdict(", ".join(checked), faults)


def _operations_table(tree):
    if not tree.exists("README.md"):
        return "README.md is missing"
    text = tree.text("README.md")
    if text.count(BEGIN) != 1 or text.count(END) != 1:
        return f"README.md: the table of operations stands between {BEGIN} and {END}"
    status, table = _run(tree, [PYTHON, "tools/contractc/contractc", "operations-table"])
    if status != 0:
        return f"contractc operations-table: {table.strip()}"
    if text.split(BEGIN, 1)[1].split(END, 1)[0].strip() != table.strip():
        return "README.md: the table of operations is old; put in what tools/contractc/contractc operations-table prints"
    return None


def _config_page(tree, binary):
    environment = {k: v for k, v in os.environ.items() if not k.startswith("HEARTH_")}
    environment["ASAN_OPTIONS"] = "detect_leaks=0"
    status, page = _run(tree, [str(binary), "config", "--markdown"], environment)
    if status != 0:
        return [f"hearth config --markdown ended with {status}: {page.strip()[:300]}"]
    if not tree.exists("docs/CONFIG.md") or tree.text("docs/CONFIG.md") != page:
        return ["docs/CONFIG.md is old: build/asan/hearth config --markdown > docs/CONFIG.md"]
    return []


def check_contract(tree):
    commands = [["tools/contractc/contractc", "check", "--contract", "contract"],
                ["tools/contractc/compare.py"] + ([DESCRIPTION] if tree.exists(DESCRIPTION) else [])]
    faults, summary = [], []
    for command in commands:
        status, output = _run(tree, [PYTHON, *command])
        lines = [line for line in output.strip().splitlines() if line]
        if status != 0:
            faults += [f"{command[0]}: {line}" for line in lines[-20:] or [f"ended with {status}"]]
        elif lines:
            summary.append(lines[-1])
    return Verdict("; ".join(summary), faults)


def _run(tree, command, environment=None):
    result = subprocess.run(command, cwd=tree.root, env=environment, timeout=300, stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT, text=True)
    return result.returncode, result.stdout
