"""The starter model's corpus, its checker, its conversations, and the file that is shipped."""
import collections
import hashlib
import json
import pathlib
import random
import re
import struct
import sys
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import chat  # noqa: E402
import checker  # noqa: E402
import conversations  # noqa: E402
import corpus  # noqa: E402
import evaluate  # noqa: E402
import grammar  # noqa: E402

SLOT = re.compile(r"\{(\w+)\}")


class GrammarTest(unittest.TestCase):
    def test_every_sentence_is_made(self):
        tree = grammar.parse("(which|what) port[ is (open|free)]?")
        self.assertEqual(grammar.count(tree), 6)
        self.assertEqual(set(grammar.expand(tree)), {f"{one} port{two}?" for one in ("which", "what") for two in ("", " is open", " is free")})
        self.assertIn(grammar.sample(tree, random.Random(1)), set(grammar.expand(tree)))
        self.assertEqual(list(grammar.expand(grammar.parse(r"a\(b\|c\)"))), ["a(b|c)"])

    def test_a_broken_pattern_is_named(self):
        for broken in ("(a|b", "a)", "[a", "a]"):
            with self.assertRaisesRegex(grammar.GrammarError, re.escape(broken)):
                grammar.parse(broken)

    def test_marks_follow_their_word(self):
        self.assertEqual(grammar.tidy("what  does ./dev run do ?"), "what does ./dev run do?")


class CheckerTest(unittest.TestCase):
    MUST = ["127.0.0.1:8080", ["--listen", "`listen`"]]

    def test_right_answers_pass(self):
        for right in ("It is 127.0.0.1:8080, or what --listen says.", "Set `LISTEN` instead of\n127.0.0.1:8080"):
            self.assertTrue(checker.holds(self.MUST, right), right)

    def test_wrong_answers_fail(self):
        for wrong in ("", "I only know Hearth.", "It is 127.0.0.1:8081, or what --listen says.", "It is 127.0.0.1:8080.", "Say --listen.",
                      "127.0.0.1 : 8080 --listen"):
            self.assertFalse(checker.holds(self.MUST, wrong), wrong)

    def test_other_facts_answers_and_refusals_fail(self):
        facts, unknown = corpus.read_facts(), corpus.read_unknown()
        wrong = [(fact.id, other.id) for fact in facts for other in facts if other is not fact and checker.holds(fact.must, other.answer)]
        self.assertEqual(wrong, [])
        for fact in facts:
            self.assertFalse(checker.holds(fact.must, unknown.answer), fact.id)
            self.assertFalse(checker.holds(unknown.must, fact.answer), fact.id)

    def test_half_an_answer_fails(self):
        """Without the words that it looks for, no answer passes."""
        for fact in corpus.read_facts():
            for item in fact.must:
                answer = checker.folded(fact.answer)
                for alternative in [item] if isinstance(item, str) else item:
                    answer = answer.replace(checker.folded(alternative), "...")
                self.assertFalse(checker.holds(fact.must, answer), fact.id)


class CorpusTest(unittest.TestCase):
    def test_facts(self):
        facts = corpus.read_facts()
        self.assertEqual(corpus.fact_errors(facts), [])
        self.assertGreaterEqual(len(facts), 300)
        self.assertGreaterEqual(sum(len(fact.held_out) for fact in facts), 200)

    def test_what_is_not_known_is_held_out_and_asked_nowhere_else(self):
        unknown = corpus.read_unknown()
        held, trained = {corpus.plain(question) for question in unknown.held_out}, set()
        for tree in unknown.ask:
            trained |= corpus.phrasings([tree]) - {""}
        self.assertEqual(held & trained, set())
        self.assertEqual((held | trained) & {sentence for fact in corpus.read_facts() for sentence in corpus.phrasings(fact.ask)}, set())
        self.assertGreaterEqual(len(held), 90)

    def test_first_questions_are_among_their_facts(self):
        for question, fact in corpus.first_questions(corpus.read_facts()):
            self.assertIn(corpus.plain(question), corpus.phrasings(fact.ask))

    def test_planned_operations_say_so(self):
        statuses = corpus.operation_statuses()
        self.assertGreater(sum(status == "planned" for status in statuses.values()), 0)
        answers = {fact.id: fact.answer for fact in corpus.read_facts()}
        file_answer = next(answer for answer in answers.values() if "POST /v1/files`" in answer)
        self.assertEqual(corpus.PLANNED in file_answer, statuses["create_file"] == "planned")

    def test_tools_are_whole(self):
        tools = corpus.read_tools()
        named = collections.Counter(name for tool in tools["tools"] for name in set(tool["names"] + tool["more_names"]) | set(tool["held_out_names"]))
        self.assertEqual([name for name, count in named.items() if count > 1], [])
        plain = {part: {corpus.plain_name(name) for tool in tools["tools"] for name in tool[part]} for part in ("more_names", "held_out_names")}
        self.assertEqual(plain["more_names"] & plain["held_out_names"], set())
        for part, asked in (("tools", "ask"), ("schemas", "text")):
            for entry in tools[part]:
                wanted = sorted(field["value"] for field in entry["parameters" if part == "tools" else "fields"])
                trained = {grammar.tidy(sentence) for tree in entry[asked] for sentence in grammar.expand(tree)}
                held = {grammar.tidy(sentence) for tree in entry["held_out"] for sentence in grammar.expand(tree)}
                for sentence in trained | held:
                    self.assertEqual(sorted(SLOT.findall(sentence)), wanted, f"{entry['id']}: {sentence}")
                self.assertEqual({corpus.plain(each) for each in trained} & {corpus.plain(each) for each in held}, set(), entry["id"])


class ConversationsTest(unittest.TestCase):
    def test_the_same_seed_makes_the_same(self):
        first, second = (conversations.Conversations(random.Random(5)) for _ in range(2))
        self.assertEqual([first.next() for _ in range(50)], [second.next() for _ in range(50)])

    def test_no_held_out_question_is_ever_made(self):
        maker = conversations.Conversations(random.Random(6))
        held = {question for fact in maker.facts for question in fact.held_out} | set(maker.unknown.held_out)
        for _ in range(3000):
            for message in maker.next()[0]:
                self.assertNotIn(message.get("content"), held)

    def test_calls_copy_what_the_question_says(self):
        maker = conversations.Conversations(random.Random(7))
        for _ in range(300):
            messages, tools, _ = maker.tool_calls()
            known = {tool["function"]["name"]: tool["function"]["parameters"]["properties"] for tool in tools}
            for before, message in zip(messages, messages[1:]):
                for name, arguments in message.get("calls", ()):
                    self.assertEqual(list(arguments), list(known[name]))
                    for value in arguments.values():
                        self.assertIn(json.dumps(value) if isinstance(value, bool) else str(value), before["content"])

    def test_a_call_names_one_of_its_tools_and_every_name_stands_below_its_tool(self):
        maker = conversations.Conversations(random.Random(10))
        known = {tool["id"] for tool in maker.tools["tools"]}
        for _ in range(100):
            messages, tools, named = maker.tool_calls()
            self.assertLessEqual(set(named.values()), known)
            self.assertLessEqual({name for message in messages for name, _ in message.get("calls", ())}, set(named))
            pieces = chat.system_texts("", tools)
            for tool in tools:
                at = pieces.index(tool["function"]["name"])
                self.assertTrue(pieces[at - 1].endswith(f"\n{chat.tool_text(tool)}\n"))
                self.assertTrue(pieces[at + 1].startswith("\n"))

    def test_whole_amounts_are_written_as_json_writes_them(self):
        maker = conversations.Conversations(random.Random(11))
        amounts = [maker.value("amount") for _ in range(2000)]
        self.assertEqual([amount for amount in amounts if isinstance(amount, float) and amount.is_integer()], [])
        self.assertTrue(any(isinstance(amount, float) for amount in amounts))

    def test_of_a_demanded_call_the_model_writes_the_object_alone_and_nothing_follows(self):
        maker, demanded = conversations.Conversations(random.Random(8)), 0
        for _ in range(300):
            messages, tools, _ = maker.tool_calls()
            self.assertEqual([message for message in messages[:-1] if message.get("forced")], [])
            if messages[-1].get("forced"):
                demanded += 1
                (before, _), (written, _), (after, _) = chat.segments(messages, tools)[-3:]
                self.assertEqual((before, after), ("<tool_call>\n", "\n</tool_call><|im_end|>\n"))
                self.assertEqual(json.loads(written)["arguments"], messages[-1]["calls"][0][1])
        self.assertGreater(demanded, 30)

    def test_values_are_found_where_the_question_says_them_once(self):
        question = "alpha and alpha-2 cost 12.5 and 5 dollars, alpha once more; true"
        written = '{"name": "call", "arguments": {"project": "alpha", "key": "alpha-2", "cost": 12.5, "limit": 5, "on": true, "model": "beta"}}'
        found = [(written[begin:end], place) for begin, end, place in conversations.said_once(written, written.index("{", 1), question)]
        self.assertEqual(found, [("alpha-2", question.index("alpha-2")), ("12.5", question.index("12.5")), ("5", question.index("5 dollars")),
                                 ("true", question.index("true"))])

    def test_most_values_are_found(self):
        maker = conversations.Conversations(random.Random(12))
        found = wanted = 0
        for _ in range(300):
            question, values = maker.ask_filling(maker.random.choice(maker.tools["schemas"]))
            places = conversations.said_once(json.dumps(values), 0, question)
            found, wanted = found + len(places), wanted + len(values)
        self.assertGreater(found, 0.95 * wanted)

    def test_an_empty_system_prompt_leaves_no_turn(self):
        question = {"role": "user", "content": "Hi"}
        self.assertEqual(chat.segments([{"role": "system", "content": ""}, question]), chat.segments([question]))

    def test_a_near_miss_is_no_question_of_a_fact(self):
        maker = conversations.Conversations(random.Random(9))
        asked = {corpus.plain(maker.near_miss()) for _ in range(100)}
        self.assertEqual(asked & {sentence for fact in maker.facts for sentence in corpus.phrasings(fact.ask)}, set())

    def test_a_loosened_task_keeps_its_values_and_the_words_next_to_them(self):
        maker, changed = conversations.Conversations(random.Random(10)), 0
        pattern = "would you please tell me how much the project {project} used within {days} days until this very morning"
        for _ in range(200):
            loosened = maker.loosen(pattern)
            changed += loosened != pattern
            self.assertEqual(SLOT.findall(loosened), ["project", "days"])
        self.assertTrue(40 < changed < 160, changed)
        self.assertEqual({maker.loosen("set {project} to {count}") for _ in range(50)}, {"set {project} to {count}"})

    def test_the_model_writes_its_turns_alone(self):
        parts = chat.segments([{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}])
        self.assertEqual([text for text, written in parts if written], ["Hello<|im_end|>"])
        self.assertEqual("".join(text for text, _ in parts), "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\nHello<|im_end|>\n")


class ModelTest(unittest.TestCase):
    MODEL = HERE / "hearth-starter.gguf"
    MOST_BYTES = 16 * 2**20
    BYTES_OF_WEIGHT = 34 / 32   # Q8_0: 32 bytes and their scale

    def test_the_file_is_the_one_that_was_evaluated(self):
        data = self.MODEL.read_bytes()
        digest = hashlib.sha256(data).hexdigest()
        self.assertEqual((HERE / "hearth-starter.sha256").read_text(encoding="utf-8"), f"{digest}  {self.MODEL.name}\n")
        self.assertIn(digest, (HERE / "MODEL_CARD.md").read_text(encoding="utf-8"))
        self.assertIn(digest, (HERE / "report.md").read_text(encoding="utf-8"))
        self.assertLessEqual(len(data), self.MOST_BYTES)
        self.assertIn(chat.CHAT_TEMPLATE.encode(), data)
        at = data.index(key := b"llama.context_length") + len(key)
        self.assertGreaterEqual(struct.unpack_from("<II", data, at)[1], 2048)   # behind its type

    def test_it_has_as_many_weights_as_it_says(self):
        """The tokenizer's share of the file is too small to count."""
        millions = round(self.MODEL.stat().st_size / self.BYTES_OF_WEIGHT / 1e6)
        self.assertTrue(5 <= millions <= 15, millions)
        itself = next(fact for fact in corpus.read_facts() if fact.id == "self_what_are_you")
        self.assertIn(f"{millions} million parameters", itself.answer)

    def test_the_card_says_what_the_report_says(self):
        rows = [line for line in (HERE / "report.md").read_text(encoding="utf-8").splitlines() if line.startswith("| ") and "what" not in line]
        self.assertGreater(len(rows), 10)
        card = (HERE / "MODEL_CARD.md").read_text(encoding="utf-8")
        for row in rows:
            self.assertIn(row, card)

    def test_every_goal_is_held(self):
        rows = [line for line in (HERE / "report.md").read_text(encoding="utf-8").splitlines() if line.startswith("| ")]
        self.assertEqual([row for row in rows if "missed" in row], [])
        self.assertEqual(sum("| held |" in row for row in rows), len(evaluate.GOALS) + 1)   # with the prompts that are compared


if __name__ == "__main__":
    unittest.main()
