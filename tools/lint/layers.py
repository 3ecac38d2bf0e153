"""Allowed includes: app → api → domain → (jobs | engine | store) → (net | db) → contract → (async | json) → base.

An include points to the same layer or to a lower one, never up and never sideways. Narrower than that order are:
the store knows no network, an engine no database. And some foreign headers stay where they belong, because a file that
includes them takes long to compile or because nobody else should depend on them.
"""
import re

from tree import Verdict

ORDER = [["base"], ["async", "json"], ["contract"], ["net", "db"], ["jobs", "engine", "store"], ["domain"], ["api"],
         ["app"]]
FORBIDDEN = {("store", "net"), ("engine", "db")}
RANK = {layer: rank for rank, layers in enumerate(ORDER) for layer in layers}

# header prefix → the pattern of the paths that may include it
FOREIGN = {
    "boost/beast": r"src/net/[a-z_0-9]+\.cpp",
    "toml++/": r"src/app/.+",
    "CLI/": r"src/app/.+",
    "sqlite3.h": r"src/db/.+|bench/.+",
    "libpq-fe.h": r"src/db/.+|bench/.+",
    "argon2.h": r"src/domain/.+",
    "zlib.h": r"src/store/.+",
    "curl/": r"src/net/.+",
    "openssl/": r"src/(base|net|store)/.+",
    # What an adapter knows stays in its folder; everybody else asks the interfaces of engine/.
    "engine/llama/": r"src/engine/(llama/.+|engine_kinds\.cpp|.+_test\.cpp)|src/domain/generation/.+_test\.cpp",
    "engine/upstream/": r"src/engine/(upstream/.+|engine_kinds\.cpp|.+_test\.cpp)",
}

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')


def may_include(layer, other):
    return layer == other or (RANK[other] < RANK[layer] and (layer, other) not in FORBIDDEN)


def check(tree):
    faults = []
    sources = [path for path in tree.of(".cpp", ".hpp") if path.startswith("src/")]
    for path in sources:
        for number, line in enumerate(tree.text(path).splitlines(), 1):
            if found := INCLUDE.match(line):
                if fault := _fault(path, found[1], found[2]):
                    faults.append(f"{path}:{number}: {fault}")
    return Verdict(f"{len(sources)} files", faults)


def _fault(path, bracket, header):
    for prefix, allowed in FOREIGN.items():
        if header.startswith(prefix) and not re.fullmatch(allowed, path):
            return f"<{header}> belongs in {allowed.replace(chr(92), '')} only"
    if bracket == "<":
        return None
    parts = path.split("/")
    if len(parts) < 3:  # pch, asio: no layer
        return None
    layer, other = parts[1], header.split("/")[0]
    if layer not in RANK:
        return f"src/{layer} is no layer of the design"
    if "/" not in header or other not in RANK:
        return f'"{header}": include by the path from src/'
    if not may_include(layer, other):
        return f'{layer} may not include {other} ("{header}")'
    return None
