"""What may stand nowhere: promises instead of work, names that say nothing, paths of one machine, download addresses."""
import re

from tree import Verdict

# Written in pieces, so that this file passes itself.
PROMISES = re.compile(r"\b(?:TO" r"DO|FIX" r"ME|X" r"XX)\b")
MACHINE_PATH = re.compile(r"(?<![\w.$}/-])/(?:work|root|home/[a-z]\w*)/\w")
BANNED_NAMES = re.compile(r"(?:^|_)(?:utils?|common|helpers?|manager|misc|impl2)(?:_|$)")
UNCHECKED = ("package-lock.json", ".gguf", ".png", ".db", "LICENSE")
ALLOWED_NAMES = {"contract/schemas/common.yaml"}  # named by the design: shapes that several resources share


def check_words(tree):
    faults = []
    paths = [path for path in tree.paths if not path.endswith(UNCHECKED)]
    for path in paths:
        for number, line in enumerate(tree.text(path).splitlines(), 1):
            if found := PROMISES.search(line):
                faults.append(f"{path}:{number}: '{found[0]}'")
            if found := MACHINE_PATH.search(line):
                faults.append(f"{path}:{number}: a path of one machine, '{found[0]}…'")
    return Verdict(f"{len(paths)} files", faults)


def check_names(tree):
    faults = []
    for path in tree.paths:
        for part in path.split("/"):
            if BANNED_NAMES.search(part.split(".")[0]) and path not in ALLOWED_NAMES:
                faults.append(f"{path}: '{part}' does not say what it holds")
    return Verdict(f"{len(tree.paths)} paths", faults)


def check_locks(tree):
    """A lock pins by integrity, not by address: a mirror must do as well."""
    paths = tree.of("package-lock.json")
    faults = [f'{path}: holds "resolved"; npm config set omit-lockfile-registry-resolved true' for path in paths
              if '"resolved"' in tree.text(path)]
    faults += [f"{path}: entries without an integrity" for path in paths if '"version"' in tree.text(path)
               and '"integrity"' not in tree.text(path)]
    return Verdict(f"{len(paths)} files", faults)
