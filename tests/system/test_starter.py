"""The starter model as it is shipped, through Hearth: a server without any model of its own serves it."""
import json
import random
import re
import sys
import unittest

from support import paths
from support.hearth import Hearth

STARTER = paths.ROOT / "models" / "starter"
sys.path.insert(0, str(STARTER))

import checker  # noqa: E402
import conversations  # noqa: E402
import corpus  # noqa: E402
from conversations import user  # noqa: E402

MODEL = "hearth-starter"
ASKED = 40
LEAST_RIGHT, LEAST_FILLED = 0.85, 0.8   # of so few; models/starter/report.md has the figures for all of them


class StarterTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.hearth = Hearth(models="").start()
        cls.addClassCleanup(cls.hearth.stop)

    def ask(self, messages, **more):
        reply = self.hearth.post("/v1/chat/completions", {"model": MODEL, "messages": messages, "temperature": 0, "max_completion_tokens": 200, **more})
        self.assertEqual(reply.status, 200, reply.body)
        return reply.json()["choices"][0]["message"]

    def test_it_answers_what_it_was_never_asked(self):
        facts = corpus.read_facts()
        chosen = [(fact, fact.held_out[0]) for fact in facts[::len(facts) // ASKED]]
        wrong = [question for fact, question in chosen if not checker.holds(fact.must, self.ask([user(question)])["content"])]
        self.assertGreaterEqual(1 - len(wrong) / len(chosen), LEAST_RIGHT, wrong)

    def test_it_answers_what_a_newcomer_asks_first(self):
        asked = corpus.first_questions(corpus.read_facts())
        self.assertEqual([question for question, fact in asked if not checker.holds(fact.must, self.ask([user(question)])["content"])], [])
        shown = set(re.findall(r'content"?: "([^"]+\?)"', (paths.ROOT / "README.md").read_text(encoding="utf-8")))
        self.assertEqual((len(shown), shown - {question for question, _ in asked}), (2, set()))

    def test_it_declines_other_subjects(self):
        unknown = corpus.read_unknown()
        declined = [checker.holds(unknown.must, self.ask([user(question)])["content"]) for question in unknown.held_out[::5]]
        self.assertGreaterEqual(sum(declined) / len(declined), 0.8)

    def test_it_calls_a_tool_with_what_the_question_says(self):
        tool = {"type": "function", "function": {"name": "set_rate_limit", "description": "Sets how many requests a project may make per minute.",
                "parameters": {"type": "object", "properties": {"project": {"type": "string"}, "requests_per_minute": {"type": "integer"}},
                               "required": ["project", "requests_per_minute"]}}}
        message = self.ask([user("Limit alpha to 30 requests per minute")], tools=[tool], tool_choice="required")
        call = message["tool_calls"][0]["function"]
        self.assertEqual((call["name"], json.loads(call["arguments"])), ("set_rate_limit", {"project": "alpha", "requests_per_minute": 30}))

    def test_it_fills_objects(self):
        maker = conversations.Conversations(random.Random(1))
        right, asked = 0, 20
        for _ in range(asked):
            task = maker.random.choice(maker.tools["schemas"])
            question, wanted = maker.ask_filling(task, ("held_out", "held_out_instructions"), maker.tools["held_out_values"])
            types = {name: field["type"] for field in task["fields"] for name in field["names"]}
            schema = {"type": "object", "properties": {name: {"type": types[name]} for name in wanted}, "required": list(wanted),
                      "additionalProperties": False}
            message = self.ask([user(question)], response_format={"type": "json_schema", "json_schema": {"name": "entry", "strict": True,
                                                                                                         "schema": schema}})
            filled = json.loads(message["content"])
            self.assertEqual(list(filled), list(wanted))
            right += filled == wanted
        self.assertGreaterEqual(right / asked, LEAST_FILLED)


if __name__ == "__main__":
    unittest.main()
