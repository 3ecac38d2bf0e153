"""The official Python SDK, unmodified. test_sdk_python.py runs this file in a virtual environment that holds it; addresses and
keys come from the environment."""
import asyncio
import json
import os
import signal
import unittest

import openai

BASE_URL, API_KEY, BROKEN_MODEL = (os.environ[name] for name in ("HEARTH_BASE_URL", "HEARTH_API_KEY", "HEARTH_BROKEN_MODEL"))
MESSAGES = [{"role": "user", "content": "Tell me a story."}]
MOOD = {"type": "object", "properties": {"mood": {"type": "string", "enum": ["good", "bad"]}}, "required": ["mood"],
        "additionalProperties": False}
# The starter model reads tools and knows this one's subject: it takes the arguments from the question.
STARTER = "hearth-starter"
LIMIT = {"type": "function", "function": {
    "name": "set_rate_limit", "description": "Sets how many requests a project may make per minute.", "strict": True, "parameters": {
        "type": "object", "properties": {"project": {"type": "string"}, "requests_per_minute": {"type": "integer"}},
        "required": ["project", "requests_per_minute"], "additionalProperties": False}}}
LIMIT_MESSAGES = [{"role": "user", "content": "limit alpha to 30 requests per minute"}]
LIMIT_ARGUMENTS = {"project": "alpha", "requests_per_minute": 30}


class Sdk(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.client = openai.OpenAI(base_url=BASE_URL, api_key=API_KEY, max_retries=0, timeout=60)
        cls.addClassCleanup(cls.client.close)

    def ask(self, **more):
        return self.client.chat.completions.create(**{"model": "babble", "messages": MESSAGES, "max_completion_tokens": 8, **more})

    def test_chat(self):
        reply = self.ask()
        self.assertTrue(reply.id.startswith("chatcmpl-"))
        self.assertTrue(reply.choices[0].message.content)
        self.assertEqual(reply.usage.total_tokens, reply.usage.prompt_tokens + reply.usage.completion_tokens)
        self.assertTrue(reply._request_id.startswith("req_"))

    def test_stream_with_usage(self):
        chunks = list(self.ask(stream=True, stream_options={"include_usage": True}))
        self.assertEqual(chunks[0].choices[0].delta.role, "assistant")
        self.assertIn(chunks[-2].choices[0].finish_reason, ("stop", "length"))
        self.assertEqual(chunks[-1].choices, [])
        self.assertGreater(chunks[-1].usage.completion_tokens, 0)

    def test_async(self):
        async def several():
            async with openai.AsyncOpenAI(base_url=BASE_URL, api_key=API_KEY, max_retries=0) as client:
                async def one(number):
                    stream = await client.chat.completions.create(model="babble", messages=MESSAGES, max_completion_tokens=5,
                                                                  seed=number, stream=True)
                    return [chunk async for chunk in stream]
                return await asyncio.gather(*(one(number) for number in range(8)))
        for chunks in asyncio.run(several()):
            self.assertIn(chunks[-1].choices[0].finish_reason, ("stop", "length"))

    def test_tools(self):
        more = {"model": STARTER, "tools": [LIMIT], "max_completion_tokens": 200, "temperature": 0}
        first = self.ask(messages=LIMIT_MESSAGES, tool_choice={"type": "function", "function": {"name": "set_rate_limit"}}, **more)
        call = first.choices[0].message.tool_calls[0]
        self.assertEqual(json.loads(call.function.arguments), LIMIT_ARGUMENTS)
        second = self.ask(messages=[*LIMIT_MESSAGES, first.choices[0].message,
                                    {"role": "tool", "tool_call_id": call.id, "content": "done"}], tool_choice="none", **more)
        self.assertTrue(second.choices[0].message.content)

    def test_structured_output(self):
        reply = self.ask(max_completion_tokens=100, temperature=0, response_format={
            "type": "json_schema", "json_schema": {"name": "mood", "strict": True, "schema": MOOD}})
        self.assertIn(json.loads(reply.choices[0].message.content)["mood"], ("good", "bad"))

    def test_the_sdks_accumulation_of_a_stream(self):
        with self.client.chat.completions.stream(model=STARTER, messages=LIMIT_MESSAGES, tools=[LIMIT], tool_choice="required",
                                                 max_completion_tokens=200, temperature=0) as stream:
            whole = stream.get_final_completion()
        self.assertEqual(json.loads(whole.choices[0].message.tool_calls[0].function.arguments), LIMIT_ARGUMENTS)

    def test_stored_completions(self):
        tag = f"python-{os.getpid()}"
        made = [self.ask(store=True, metadata={"tag": tag}, max_completion_tokens=2) for _ in range(3)]
        completions = self.client.chat.completions
        self.assertEqual(completions.retrieve(made[0].id).choices[0].message.content, made[0].choices[0].message.content)
        self.assertEqual(completions.update(made[0].id, metadata={"tag": tag, "a": "b"}).metadata, {"tag": tag, "a": "b"})
        self.assertEqual([item.id for item in completions.list(metadata={"tag": tag}, limit=2)], [item.id for item in made])
        newest_first = completions.list(metadata={"tag": tag}, order="desc").data
        self.assertEqual([item.id for item in newest_first], [item.id for item in reversed(made)])
        self.assertEqual(completions.messages.list(made[0].id).data[0].content, MESSAGES[0]["content"])
        for item in made:
            self.assertTrue(completions.delete(item.id).deleted)
        with self.assertRaises(openai.NotFoundError):
            completions.retrieve(made[0].id)

    def test_text_completions(self):
        reply = self.client.completions.create(model="babble", prompt=["The river", "A cat"], max_tokens=3, n=2, logprobs=2, echo=True)
        self.assertEqual([choice.index for choice in reply.choices], [0, 1, 2, 3])
        self.assertTrue(reply.choices[2].text.startswith("A cat"))
        self.assertEqual("".join(reply.choices[0].logprobs.tokens), reply.choices[0].text)
        self.assertTrue(list(self.client.completions.create(model="babble", prompt="The river", max_tokens=3, stream=True)))

    def test_embeddings(self):
        hidden = self.client.embeddings.create(model="embed", input=["a river", "a door"])      # base64 under the hood
        plain = self.client.embeddings.create(model="embed", input=["a river", "a door"], encoding_format="float")
        self.assertEqual(len(hidden.data[0].embedding), 64)
        for left, right in zip(hidden.data[1].embedding, plain.data[1].embedding):
            self.assertAlmostEqual(left, right, places=4)
        self.assertEqual(len(self.client.embeddings.create(model="embed", input=[5, 6], dimensions=8).data[0].embedding), 8)

    def test_models(self):
        self.assertIn("babble", [model.id for model in self.client.models.list()])
        self.assertEqual(self.client.models.retrieve("babble").object, "model")
        with self.assertRaises(openai.PermissionDeniedError):
            self.client.models.delete("babble")

    def test_errors(self):
        with self.assertRaises(openai.AuthenticationError) as caught:
            self.client.with_options(api_key="sk-wrong-0123456789abcdef").models.list()
        self.assertEqual(caught.exception.code, "invalid_api_key")
        with self.assertRaises(openai.NotFoundError) as caught:
            self.ask(model="no-such")
        self.assertEqual((caught.exception.code, caught.exception.param), ("model_not_found", "model"))
        with self.assertRaises(openai.BadRequestError) as caught:
            self.ask(temperature=9)
        self.assertEqual(caught.exception.param, "temperature")
        self.assertEqual(caught.exception.type, "invalid_request_error")
        with self.assertRaises(openai.InternalServerError):
            self.client.files.list()

    def test_an_engine_that_is_killed_in_mid_stream_raises(self):
        chunks = 0
        with self.assertRaises(openai.APIError):
            for _ in self.ask(model="slow", stream=True, max_completion_tokens=3000,
                              logit_bias={os.environ["HEARTH_END_OF_TURN"]: -100}):
                chunks += 1
                if chunks == 5:
                    os.kill(int(os.environ["HEARTH_SLOW_ENGINE"]), signal.SIGKILL)
        self.assertTrue(5 <= chunks < 3000)
        patient = self.client.with_options(max_retries=8)
        self.assertTrue(patient.chat.completions.create(model="slow", messages=MESSAGES, max_completion_tokens=2).id)

    def test_an_upstream_that_dies_in_mid_stream_raises(self):
        text = ""
        with self.assertRaises(openai.APIError):
            for chunk in self.ask(model=BROKEN_MODEL, stream=True):
                text += chunk.choices[0].delta.content or ""
        self.assertTrue("Hello from the canned upstream.".startswith(text))


if __name__ == "__main__":
    unittest.main()
