"""Phrasings with alternatives: "how (do|can) I (start|run) hearth[ quickly]" stands for every sentence that it can make.

`(a|b|)` picks one, `[a]` takes a or nothing; both nest. A backslash keeps the next character as it is."""
import itertools
import re


class GrammarError(ValueError):
    pass


def parse(text):
    """A tree: a string, ("all", parts) or ("one", alternatives)."""
    position = 0

    def sequence(end):
        nonlocal position
        alternatives, parts, literal = [], [], ""
        while position < len(text) and text[position] not in end:
            character = text[position]
            position += 1
            if character == "\\" and position < len(text):
                literal += text[position]
                position += 1
            elif character in "([":
                parts.append(literal)
                literal = ""
                inner = sequence(")" if character == "(" else "]")
                if position >= len(text):
                    raise GrammarError(f"unclosed {character} in: {text}")
                position += 1
                parts.append(inner if character == "(" else ("one", [inner, ""]))
            elif character == "|" and end:
                alternatives.append(("all", [*parts, literal]))
                parts, literal = [], ""
            elif character in ")]":
                raise GrammarError(f"unopened {character} in: {text}")
            else:
                literal += character
        tail = ("all", [*parts, literal])
        return ("one", [*alternatives, tail]) if alternatives else tail

    return sequence("")


def count(tree):
    if isinstance(tree, str):
        return 1
    kind, parts = tree
    if kind == "one":
        return sum(map(count, parts))
    total = 1
    for part in parts:
        total *= count(part)
    return total


def expand(tree):
    """Every sentence, lazily."""
    if isinstance(tree, str):
        yield tree
    elif tree[0] == "one":
        for part in tree[1]:
            yield from expand(part)
    else:
        for pieces in itertools.product(*(list(expand(part)) for part in tree[1])):
            yield "".join(pieces)


def sample(tree, random):
    if isinstance(tree, str):
        return tree
    if tree[0] == "one":
        return sample(random.choice(tree[1]), random)
    return "".join(sample(part, random) for part in tree[1])


def tidy(sentence):
    """One space between words, none before a mark that ends a clause."""
    return re.sub(r" ([?,.!:])(?= |$)", r"\1", " ".join(sentence.split()))
