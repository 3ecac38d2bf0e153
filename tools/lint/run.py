#!/usr/bin/env python3
"""Runs every lint over the working tree: `./dev lint`, and a part of `./dev test`.

    run.py [NAME...]

One line for each lint, the faults below it. Exit status: 0 no fault, 1 faults, 2 wrong use. Notes are printed and fail
nothing. Each lint is a function that takes the tree and returns a Verdict.
"""
import sys

import compile_times
import formatting
import generated
import layers
import results
import sizes
import words
from tree import Tree

LINTS = {
    "layers": layers.check,
    "formatting": formatting.check,
    "sizes": sizes.check_files,
    "readmes": sizes.check_readmes,
    "words": words.check_words,
    "names": words.check_names,
    "sentences": words.check_sentences,
    "locks": words.check_locks,
    "compile times": compile_times.check,
    "generated": generated.check_documents,
    "contract": generated.check_contract,
    "bench results": results.check,
}


def main(names):
    unknown = [name for name in names if name not in LINTS]
    if unknown:
        print(f"lint: unknown: {', '.join(unknown)}; there are: {', '.join(LINTS)}", file=sys.stderr)
        return 2
    tree = Tree()
    failed = 0
    for name in names or LINTS:
        verdict = LINTS[name](tree)
        failed += bool(verdict.faults)
        print(f"{'FAULT' if verdict.faults else 'ok':5} {name}: {verdict.summary}", flush=True)
        for fault in verdict.faults:
            print(f"      {fault}")
        for note in verdict.notes:
            print(f"      note: {note}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
