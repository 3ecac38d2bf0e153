"""Sources are as clang-format leaves them (./dev fmt)."""
import re
import shutil
import subprocess

from tree import Verdict


def check(tree):
    sources = tree.of(".cpp", ".hpp")
    program = shutil.which("clang-format-19")
    if program is None:
        return Verdict("clang-format-19 is missing", ["install it: ./dev setup"])
    faults = set()
    for start in range(0, len(sources), 64):
        result = subprocess.run([program, "--dry-run", "-Werror", *sources[start:start + 64]], cwd=tree.root,
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        found = re.findall(r"^(\S+?):\d+:\d+: error:", result.stdout, re.MULTILINE)
        faults |= set(found)
        if result.returncode and not found:
            faults.add(result.stdout.strip() or f"clang-format ended with {result.returncode}")
    return Verdict(f"{len(sources)} files", [f"{path}: ./dev fmt" for path in sorted(faults)])
