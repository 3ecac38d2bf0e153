"""What may stand nowhere: promises instead of work, names that say nothing, paths of one machine, download addresses,
sentences without a subject."""
import ast
import io
import re
import tokenize

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


def check_sentences(tree):
    """No sentence of a comment or a document begins with "Of" or "Who" in place of its subject; questions may."""
    faults = []
    paths = [path for path in tree.paths if path.endswith(tuple(PROSE)) and not path.startswith("models/")]
    for path in paths:
        prose = PROSE[next(ending for ending in PROSE if path.endswith(ending))]
        for number, text in prose(tree.text(path)):
            faults += [f"{path}:{number}: a sentence begins with '{found[0]}'" for found in NO_SUBJECT.finditer(text)]
    return Verdict(f"{len(paths)} files", faults)


NO_SUBJECT = re.compile(r"\b(?:Of|Who|Whom|Whose)\s+[a-z]\w*(?![^.!?]*\?)")


def _prose_of_cpp(text):
    """(line, comment): what stands behind // outside of strings."""
    for number, line in enumerate(text.splitlines(), 1):
        found = re.match(r'(?:[^"/]|"(?:[^"\\]|\\.)*"|/(?!/))*//(.*)', line)
        if found:
            yield number, found[1]


def _prose_of_python(text):
    """Comments and docstrings."""
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)) and (text := ast.get_docstring(node)):
            yield node.body[0].lineno, text


def _prose_of_lines(text):
    return enumerate(text.splitlines(), 1)


def _prose_of_hashes(text):
    """Comments that begin with #."""
    return ((number, line.split("#", 1)[1]) for number, line in enumerate(text.splitlines(), 1) if re.search(r"(?:^|\s)#\s", line))


# How the prose is found in files that end so; in the contract every line may hold some.
PROSE = {".cpp": _prose_of_cpp, ".hpp": _prose_of_cpp, ".mjs": _prose_of_cpp, ".py": _prose_of_python, ".md": _prose_of_lines,
         ".yaml": _prose_of_lines, ".sh": _prose_of_hashes, ".txt": _prose_of_hashes, ".cmake": _prose_of_hashes, ".case": _prose_of_hashes}


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
