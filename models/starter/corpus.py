"""The text that the model learns from, as people wrote it: facts, small talk, what to decline, tools; read and checked.

`python3 corpus.py` prints the counts, and every error that it finds."""
import collections
import dataclasses
import pathlib
import random
import re
import sys

import yaml

import checker
import grammar

HERE = pathlib.Path(__file__).resolve().parent
OPERATIONS = HERE.parents[1] / "contract" / "operations"
PLANNED = "In this version the operation is still planned and answers 501."
MEMBERS = {"id", "family", "operation", "answer", "must", "ask", "follow", "held_out"}
MOST_WORDS, LEAST_PATTERNS, LEAST_PHRASINGS, MOST_PHRASINGS, LEAST_HELD_OUT = 70, 12, 60, 20_000, 2


@dataclasses.dataclass
class Fact:
    id: str
    source: str
    answer: str
    must: list
    ask: list      # trees of grammar.py
    held_out: list
    family: str = ""
    follow: list = dataclasses.field(default_factory=list)


@dataclasses.dataclass
class Unknown:
    answer: str
    must: list
    ask: list      # trees, slots filled in
    mixed: list    # the same, with any filler in any slot
    fillers: list
    held_out: list


def read_yaml(name):
    with open(HERE / name, encoding="utf-8") as text:
        return yaml.safe_load(text)


def operation_statuses():
    """name: implemented or planned, as the contract says today."""
    found = {}
    for path in sorted(OPERATIONS.glob("*.yaml")):
        for operation in yaml.safe_load(path.read_text(encoding="utf-8"))["operations"]:
            found[operation["op"]] = operation.get("status", "implemented")
    return found


def read_facts():
    statuses = operation_statuses()
    facts = []
    for path in sorted((HERE / "facts").glob("*.yaml")):
        for entry in yaml.safe_load(path.read_text(encoding="utf-8")):
            if unknown := set(entry) - MEMBERS:
                raise ValueError(f"{path.name}: {entry.get('id')}: unknown members {unknown}")
            answer = entry["answer"].strip()
            if operation := entry.get("operation"):
                if operation not in statuses:
                    raise ValueError(f"{path.name}: {entry['id']}: the contract has no operation {operation}")
                if statuses[operation] == "planned":
                    answer += (" " if "```" not in answer else "\n") + PLANNED
            facts.append(Fact(entry["id"], path.name, answer, entry["must"], [grammar.parse(text) for text in entry["ask"]],
                              entry["held_out"], entry.get("family", ""), [grammar.parse(text) for text in entry.get("follow", [])]))
    return facts


def first_questions(facts):
    """[(what a newcomer asks first, its fact)]"""
    by_id = {fact.id: fact for fact in facts}
    return [(question, by_id[fact]) for question, fact in read_yaml("first_questions.yaml").items()]


def watched(facts):
    """[(question, answer)]: the held-out questions that training looks at as it goes on. What was chosen by them is judged by the others."""
    return random.Random(7).sample([(question, fact.answer) for fact in facts for question in fact.held_out], 120)


def fill_slots(tree, slots):
    """The tree with every {slot} in its strings made a choice between the slot's fillers."""
    if isinstance(tree, str):
        pieces = re.split(r"\{(\w+)\}", tree)
        if len(pieces) == 1:
            return tree
        parts = [("one", [str(filler) for filler in slots[piece]]) if at % 2 else piece for at, piece in enumerate(pieces)]
        return ("all", parts)
    return (tree[0], [fill_slots(part, slots) for part in tree[1]])


def read_unknown():
    read = read_yaml("unknown.yaml")
    slots, parsed = read["slots"], [grammar.parse(text) for text in read["ask"]]
    fillers = [filler for some in slots.values() for filler in some]
    trees, mixed = ([fill_slots(tree, each) for tree in parsed] for each in (slots, dict.fromkeys(slots, fillers)))
    return Unknown(read["answer"].strip(), read["must"], trees, mixed, fillers, read["held_out"])


def read_tools():
    """tools.yaml, its patterns parsed; {slots} stay as they are: one sentence's fillers go into its answer too."""
    read = read_yaml("tools.yaml")
    held_out = {plain_name(name) for entry in read["tools"] for name in entry["held_out_names"]}
    for entry in read["tools"]:
        for name in ("ask", "held_out", "done"):
            entry[name] = [grammar.parse(text) for text in entry[name]]
        made = (name for text in entry["more_names"] for name in grammar.expand(grammar.parse(text)))
        entry["more_names"] = [name for name in made if plain_name(name) not in held_out]
        entry["parameters"] = entry.get("parameters") or []
    for entry in read["schemas"]:
        for name in ("text", "held_out"):
            entry[name] = [grammar.parse(text) for text in entry[name]]
    read["clauses"] = {slot: [grammar.parse(text) for text in texts] for slot, texts in read["clauses"].items()}
    for name in ("instructions", "held_out_instructions", "results"):
        read[name] = [grammar.parse(text) for text in read[name]]
    read["held_out_values"] = read["values"] | read["held_out_values"]   # closed kinds have none of their own
    return read


def plain_name(name):
    """Two names of which this is the same differ in how they are written alone."""
    return name.replace("_", "").lower()


def plain(text):
    """What makes two phrasings the same: letters and digits."""
    return " ".join(re.sub(r"[^a-z0-9]+", " ", text.lower()).split())


def phrasings(trees):
    return {plain(grammar.tidy(sentence)) for tree in trees for sentence in grammar.expand(tree)}


def fact_errors(facts):
    """What is wrong with the facts, a line each."""
    errors = []
    asked, ids = {}, collections.Counter(fact.id for fact in facts)
    for fact in facts:
        say = lambda what, fact=fact: errors.append(f"{fact.source}: {fact.id}: {what}")
        if not re.fullmatch(r"[a-z0-9_]+", fact.id) or ids[fact.id] > 1:
            say("ids are unique and of a-z, 0-9 and _")
        if not fact.answer.isascii() or len(fact.answer.split()) > MOST_WORDS:
            say(f"answers are ASCII, of {MOST_WORDS} words at most")
        if not checker.holds(fact.must, fact.answer):
            say("the answer lacks what it must hold")
        own = phrasings(fact.ask)
        if len(fact.ask) < LEAST_PATTERNS or not LEAST_PHRASINGS <= len(own) <= MOST_PHRASINGS:
            say(f"{len(fact.ask)} patterns with {len(own)} phrasings are too few or too many")
        if len(fact.held_out) < LEAST_HELD_OUT:
            say(f"fewer than {LEAST_HELD_OUT} held-out questions")
        for sentence in own:
            if asked.setdefault(sentence, fact) is not fact:
                say(f"asked for {asked[sentence].id} too: {sentence}")
    for fact in facts:
        for question in fact.held_out:
            if plain(question) in asked:
                errors.append(f"{fact.source}: {fact.id}: held out, and yet trained: {question}")
        for other in facts:
            if other is not fact and checker.holds(fact.must, other.answer):
                errors.append(f"{fact.source}: {fact.id}: what it must hold stands in the answer of {other.id} too")
    return errors


if __name__ == "__main__":
    read = read_facts()
    found = fact_errors(read)
    print(*found, sep="\n")
    print(f"{len(read)} facts, {sum(len(fact.ask) for fact in read)} patterns, {sum(len(fact.held_out) for fact in read)} held-out questions, "
          f"{len(found)} errors")
    sys.exit(bool(found))
