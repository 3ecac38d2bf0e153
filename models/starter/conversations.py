"""Makes the conversations that the model is trained on, endlessly, from the corpus and one seed."""
import collections
import functools
import json
import re
import string
from random import Random

import corpus
import grammar

VALUE = re.compile(r'": "?([^",{}]+)')
CAPITALS = re.compile(r"\bhearth\b")
SYSTEM_PROMPTS = ["You are a helpful assistant.", "You are Hearth's guide.", "Be brief.", "You are a friendly assistant. Answer in English.",
                  "You help with Hearth.", "Answer the user's questions.", "You are an assistant for developers.", "", "Use the tools."]
FIRST_SHARE = 0.08   # of the turns ask what newcomers ask first
SMALL_WORDS = {"the", "a", "an", "do", "is", "to", "of", "my", "i", "for", "in"}
SHORTER = [("what is", "what's"), ("how do i", "how can i"), ("how do i", "how to"), ("how can i", "how do i"), ("can i", "is it possible to"),
           ("does not", "doesn't"), ("do not", "don't"), ("cannot", "can't"), ("i am", "i'm"), ("which", "what"), ("i want to", "i'd like to"),
           ("show me", "tell me"), ("please", "pls"), ("configuration", "config"), ("how do i", "how would i"), ("how do i", "how do you")]


class Conversations:
    def __init__(self, random):
        self.random = random
        self.facts = corpus.read_facts()
        self.unknown = corpus.read_unknown()
        self.tools = corpus.read_tools()
        openers = corpus.read_yaml("openers.yaml")
        self.prefixes, self.suffixes = openers["prefixes"], openers["suffixes"]
        self.families = collections.defaultdict(list)
        for fact in self.facts:
            if fact.family and fact.follow:
                self.families[fact.family].append(fact)
        self.first = [([grammar.parse(asked)], fact) for asked, fact in corpus.first_questions(self.facts)]
        self.small_talk = [fact for fact in self.facts if fact.source == "self.yaml"]
        self.foreign_words = sorted({word.lower() for filler in self.unknown.fillers for word in str(filler).split()})
        said = " ".join([*(fact.answer for fact in self.facts), *map(str, self.unknown.fillers), *self.tools["values"]["topic"]])
        self.words = sorted({word.lower() for word in re.findall(r"[A-Za-z]{2,10}", said)})

    @functools.cached_property
    def own_words(self):
        """Words of questions about Hearth that other questions seldom have."""
        sampler = Random(1)
        words_of = lambda trees: collections.Counter(word for tree in trees for _ in range(2)
                                                     for word in set(grammar.sample(tree, sampler).lower().split()) if word.isalpha())
        known, unknown = words_of(tree for fact in self.facts for tree in fact.ask), words_of(self.unknown.ask)
        scale = sum(known.values()) / sum(unknown.values())
        return {word for word, count in known.items() if len(word) > 3 and count > 2 and count > 2 * scale * unknown[word]}

    # ------------------------------------------------------------------------------------------------ questions

    def pick(self, trees):
        return grammar.tidy(grammar.sample(self.random.choice(trees), self.random))

    def question(self, trees, opened=True):
        random = self.random
        text = self.pick(trees)
        if opened and random.random() < 0.3:
            text = self.shorten(text)
        if random.random() < 0.06:
            text = self.drop_word(text)
        if random.random() < 0.1:
            text = self.mistype(text)
        if opened and random.random() < 0.15:
            text = random.choice(self.prefixes) + text
        text = self.mark(text)
        if opened and random.random() < 0.08:
            text += random.choice(self.suffixes)
        return self.case(text)

    def shorten(self, text):
        long, short = self.random.choice(SHORTER)
        return re.sub(rf"\b{long}\b", short, text, count=1, flags=re.IGNORECASE)

    def drop_word(self, text):
        words = text.split(" ")
        small = [at for at, word in enumerate(words) if word.lower() in SMALL_WORDS]
        if len(words) > 4 and small:
            del words[self.random.choice(small)]
        return " ".join(words)

    def mistype(self, text):
        random = self.random
        words = text.split(" ")
        long = [at for at, word in enumerate(words) if len(word) >= 5 and word.isalpha()]
        if not long:
            return text
        at = random.choice(long)
        word, place = words[at], random.randrange(1, len(words[at]) - 1)
        words[at] = random.choice([word[:place] + word[place + 1:],
                                   word[:place] + word[place + 1] + word[place] + word[place + 2:],
                                   word[:place] + word[place] + word[place:],
                                   word[:place] + random.choice(string.ascii_lowercase) + word[place + 1:]])
        return " ".join(words)

    def mark(self, text):
        last = self.random.random()
        if text.endswith("?"):
            return text[:-1] if last < 0.35 else text
        if text[-1:].isalnum():
            return text + "?" if last < 0.25 else text + "." if last < 0.4 else text
        return text

    def case(self, text):
        random = self.random
        how = random.random()
        if how < 0.5:
            text = text[:1].upper() + text[1:]
        elif how < 0.51:
            return text.upper()
        if random.random() < 0.6:
            text = CAPITALS.sub("Hearth", text)
        return re.sub(r"\bi\b(?!\.)", "I", text) if random.random() < 0.5 else text

    # ---------------------------------------------------------------------------------------------- conversations

    def next(self):
        """(messages, tools, which tool of the corpus a name is)"""
        kind = self.random.random()
        if kind < 0.3:
            return self.tool_calls()
        if kind < 0.86:
            return self.filling()
        return self.talk()

    def system(self, chance):
        if self.random.random() < chance:
            return [{"role": "system", "content": self.random.choice(SYSTEM_PROMPTS)}]
        return []

    def turn(self):
        random = self.random
        what = random.random()
        if what < 0.44:
            asked = self.near_miss() if what < 0.07 else self.strange(self.question(self.unknown.ask if what < 0.28 else self.unknown.mixed))
            return [user(asked), assistant(self.unknown.answer)]
        if what < 0.44 + FIRST_SHARE:
            ask, fact = random.choice(self.first)
        else:
            fact = random.choice(self.small_talk if what < 0.48 + FIRST_SHARE else self.facts)
            ask = fact.ask
        return [user(self.question(ask, fact.source != "self.yaml")), assistant(fact.answer)]

    def strange(self, text):
        """Words that nobody knows, or that belong elsewhere: what is asked about stays unknown."""
        random = self.random
        words = text.split(" ")
        if random.random() < 0.3:
            for _ in range(random.choice([1, 1, 2])):
                at = random.randrange(len(words))
                if len(words[at]) > 3 and words[at].isalpha():
                    words[at] = random.choice([self.syllables(), random.choice(self.foreign_words)])
        return " ".join(words)

    def near_miss(self):
        """A question about Hearth, but its words are others, up to one."""
        random = self.random
        own = []
        while not own:
            words = self.question(random.choice(self.facts).ask).split(" ")
            if len(words) <= 16 and all(word.strip("?.,").isalpha() for word in words):
                own = [at for at, word in enumerate(words) if word.strip("?.,").lower() in self.own_words]
        if len(own) > 1 and random.random() < 0.7:
            own.remove(random.choice(own))
        for at in own:
            words[at] = random.choice(self.foreign_words) + words[at][len(words[at].rstrip("?.,")):]
        return " ".join(words)

    def follow_up(self):
        random = self.random
        first, second = random.sample(random.choice([members for members in self.families.values() if len(members) > 1]), 2)
        return [user(self.question(first.ask)), assistant(first.answer), user(self.question(second.follow, False)), assistant(second.answer)]

    def talk(self):
        random = self.random
        messages = self.system(0.12)
        turns = random.choices([1, 2, 3, 4, 6, 10], [62, 16, 10, 7, 4, 1])[0]
        for _ in range(turns):
            messages += self.follow_up() if random.random() < 0.12 else self.turn()
        return messages, [], {}

    # ------------------------------------------------------------------------------------------------------ tools

    def word(self):
        """An invented name: letters that look like a word, sometimes with a digit."""
        return self.syllables() + self.random.choice(["", "", "", "", str(self.random.randrange(1, 100)),
                                                      self.random.choice("-_") + self.random.choice(["dev", "prod", "test", "eu", "x2", "bot"])])

    def syllables(self):
        choice = self.random.choice
        return "".join(choice("bcdfghjklmnprstvwz") + choice("aeiou") + choice(["", "", choice("lnrstmxk")]) for _ in range(choice([1, 2, 2, 3])))

    def any_words(self, most, between):
        return between.join(self.random.choice(self.words) for _ in range(self.random.randint(1, most)))

    def invented(self, slot):
        """What stands for any value of its kind, so that the model copies what it reads and knows no list by heart."""
        random = self.random
        if slot == "person":
            return random.choice([self.syllables(), self.any_words(1, "")]).title()
        if slot == "topic":
            return self.any_words(3, " ")
        name = random.choice([self.word(), self.any_words(3, random.choice("-_")), self.any_words(1, "") + str(random.randrange(10))])
        return name + (random.choice(["", "", "-7b", "-small", "-3b-q4", ":8b", "-v2"]) if slot == "model" else "")

    def value(self, slot, values=None):
        random = self.random
        if slot == "count":
            return random.choice([random.randrange(1, 100), random.randrange(1, 1000), random.randrange(1, 100) * 10, random.randrange(1, 100) * 100,
                                  2 ** random.randrange(5, 18), random.randrange(1000, 100000)])
        if slot == "amount":
            amount = random.choice([random.randrange(1, 1000), random.randrange(1, 100) * 10, random.randrange(1, 10000) / 100, random.randrange(1, 200) / 2])
            return int(amount) if amount == int(amount) else amount   # JSON has one way to write a whole number
        if slot == "days":
            return random.choice([1, 2, 3, 5, 7, 10, 14, 28, 30, 31, 60, 90, 180, 365, random.randrange(1, 100)])
        if slot == "flag":
            return random.random() < 0.5
        if slot == "email":
            name = random.choice([self.value("person", values).lower(), self.word(), self.value("person", values).lower() + "." + self.word()])
            return f"{name}@{random.choice(['example', self.word(), self.word()])}.{random.choice(['com', 'org', 'net', 'io', 'dev', 'de'])}"
        if values is None and slot in ("project", "model", "alias", "key_name", "person", "topic") and random.random() < 0.7:
            return self.invented(slot)
        return random.choice((values or self.tools["values"])[slot])

    def define(self, tool, names="names"):
        """One tool as a client would define it, with the slot of each parameter's name: ({...}, {name: parameter}).

        With names "invented" they say nothing, and descriptions say all."""
        random = self.random
        chosen, properties = {}, {}
        for parameter in random.sample(tool["parameters"], len(tool["parameters"])):
            named = [self.invented("parameter").replace("-", "_")] if names == "invented" and random.random() < 0.5 else parameter["names"]
            name = random.choice([each for each in named if each not in chosen] or parameter["names"])
            chosen[name] = parameter
            properties[name] = {"type": parameter["type"]}
            if "enum" in parameter:
                properties[name]["enum"] = parameter["enum"]
            if random.random() < 0.5 or name not in parameter["names"]:
                properties[name]["description"] = random.choice(parameter["descriptions"])
        # llama.cpp writes an empty description where a client gives none.
        name = self.any_words(3, "_") if names == "invented" else random.choice(tool[names])
        function = {"name": camel(name) if names in ("invented", "more_names") and random.random() < 0.3 else name,
                    "description": random.choice(tool["descriptions"]) if names == "invented" or random.random() < 0.9 else ""}
        function["parameters"] = {"type": "object", "properties": properties}
        if random.random() < 0.7:
            function["parameters"]["required"] = list(properties)
        if random.random() < 0.3:
            function["parameters"]["additionalProperties"] = False
        return {"type": "function", "function": function}, chosen

    def ask_tool(self, tool, chosen, patterns="ask", values=None):
        """(question, arguments in the order of the definition, what {slots} became)"""
        made = {parameter["value"]: self.value(parameter["value"], values) for parameter in tool["parameters"]}
        asked = self.pick(tool[patterns])
        return fill(self.loosen(asked) if patterns == "ask" else asked, made), {name: made[parameter["value"]] for name, parameter in chosen.items()}, made

    def loosen(self, pattern):
        """What is wanted stays clear when a word is lost, or is another: the one next to a value stays, it says where that begins."""
        random = self.random
        if random.random() < 0.6:
            return pattern
        words = pattern.split(" ")
        for _ in range(random.choice([1, 1, 2])):
            free = [at for at in range(len(words)) if "{" not in "".join(words[max(at - 1, 0):at + 2]) and words[at].isalpha()]
            if free:
                at = random.choice(free)
                other = random.choice(["", self.syllables(), random.choice(self.words), random.choice(self.words)])
                words[at:at + 1] = [other] if other else []
        return self.mistype(" ".join(words)) if random.random() < 0.3 else " ".join(words)

    def tool_calls(self):
        random = self.random
        offered = random.sample(self.tools["tools"], random.choices([1, 2, 3, 4], [20, 40, 30, 10])[0])
        defined = [self.define(tool, random.choices(["names", "more_names", "invented"], [2, 6, 2])[0]) for tool in offered]
        messages, calls = self.system(0.3), random.choice([1, 2, 3, 4, 6])
        for left in reversed(range(calls)):
            if random.random() < 0.1:
                messages += self.turn()
                continue
            at = random.randrange(len(offered))
            question, arguments, made = self.ask_tool(offered[at], defined[at][1])
            if random.random() < 0.15:
                question = random.choice(self.prefixes) + question
            if random.random() < 0.5 and not question.startswith(tuple(str(value) for value in made.values())):
                question = question[:1].upper() + question[1:]
            question = self.mark(question)
            if random.random() < 0.1:
                question += random.choice(self.suffixes)
            messages.append(user(question))
            called = {"role": "assistant", "calls": [(defined[at][0]["function"]["name"], arguments)]}
            messages.append(called)
            if not left and random.random() < 0.5:   # told again, it would look like any other call: it is the last
                called["forced"] = True
            elif random.random() < 0.4:
                messages.append({"role": "tool", "content": self.pick(self.tools["results"])})
                messages.append(assistant(fill(self.pick(offered[at]["done"]), made)))
        return messages, [tool for tool, _ in defined], {tool["function"]["name"]: of["id"] for (tool, _), of in zip(defined, offered)}

    def filling(self, split=("text", "instructions"), values=None):
        """One to three tasks of filling an object."""
        messages = self.system(0.3)
        for _ in range(self.random.choice([1, 2, 3])):
            question, wanted = self.ask_filling(self.random.choice(self.tools["schemas"]), split, values)
            messages += [user(question), assistant(json.dumps(wanted, ensure_ascii=False))]
        return messages, [], {}

    def clauses(self, slots):
        """A text that says each value by itself, in any order."""
        said = [self.pick(self.tools["clauses"][slot]) for slot in self.random.sample(list(slots), len(slots))]
        return self.random.choice([", ", ", ", " and ", "; ", ". "]).join(said)

    def ask_filling(self, task, split=("text", "instructions"), values=None):
        random = self.random
        made = {field["value"]: self.value(field["value"], values) for field in task["fields"]}
        names = {}
        for field in random.sample(task["fields"], len(task["fields"])):
            names[random.choice([each for each in field["names"] if each not in names])] = field
        said = self.clauses(made) if split[0] == "text" and random.random() < 0.35 else self.pick(task[split[0]])
        text = fill(self.loosen(said) if split[0] == "text" else said, made)
        listed = list(names)
        fields = listed[0] if len(listed) == 1 else ", ".join(listed[:-1]) + random.choice([" and ", ", "]) + listed[-1]
        question = self.pick(self.tools[split[1]]).replace("{fields}", fields).replace("{text}", text)
        return question, {name: made[field["value"]] for name, field in names.items()}


def camel(name):
    first, *others = name.split("_")
    return first + "".join(other.title() for other in others)


def said_once(written, start, question):
    """[(where a value begins in what is written, and ends, where the question says it)] from `start` on, of values that it says just once."""
    found = []
    for value in VALUE.finditer(written, start):
        places = [each.start() for each in re.finditer(rf"(?<![\w@-])(?<!\w\.){re.escape(value[1])}(?![\w@-]|\.\w)", question)]
        if len(places) == 1:
            found.append((value.start(1), value.end(1), places[0]))
    return found


def user(text):
    return {"role": "user", "content": text}


def assistant(text):
    return {"role": "assistant", "content": text}


def fill(text, made):
    for slot, value in made.items():
        text = text.replace("{" + slot + "}", json.dumps(value) if isinstance(value, bool) else str(value))
    return text
