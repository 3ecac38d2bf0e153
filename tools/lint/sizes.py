"""A file is small enough to be read in one go, and a folder says what it is for."""
from tree import Verdict

SOFT, HARD, README = 400, 800, 40
CHECKED = (".cpp", ".hpp", ".py", ".mjs", ".sh")
FOLDERS = ["bench", "contract", "tests", "tools"]


def check_files(tree):
    faults, notes = [], []
    paths = tree.of(*CHECKED)
    for path in paths:
        lines = len(tree.text(path).splitlines())
        if lines > HARD:
            faults.append(f"{path}: {lines} lines, more than {HARD}")
        elif lines > SOFT:
            notes.append(f"{path}: {lines} lines, more than {SOFT}")
    return Verdict(f"{len(paths)} files, {len(notes)} above {SOFT} lines", faults, notes)


def check_readmes(tree):
    layers = sorted({"/".join(path.split("/")[:2]) for path in tree.paths if path.startswith("src/") and path.count("/") > 1})
    faults = [f"{folder}/README.md is missing" for folder in FOLDERS + layers if not tree.exists(f"{folder}/README.md")]
    readmes = [path for path in tree.of("README.md") if path != "README.md"]
    for path in readmes:
        lines = len(tree.text(path).splitlines())
        if lines > README and path not in EXEMPT:
            faults.append(f"{path}: {lines} lines, more than {README}")
    return Verdict(f"{len(readmes)} files", faults)


EXEMPT = {"contract/README.md", "tests/cases/README.md"}  # the references of two languages
