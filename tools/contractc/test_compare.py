"""compare.py finds each kind of difference, and nothing where both sides say the same."""
import copy
import tempfile
import unittest
from pathlib import Path

from compare import Comparison, compare_operations, judge
from reader import load_contract

OPERATIONS = """
operations:
  - op: create_thing
    http: POST /v1/things
    summary: Makes a thing.
    auth: key
    query: { limit: { type: integer, min: 0, max: 9, default: 2 }, tags: [string] }
    body: Thing
    reply: { 200: Reply }
  - op: speak_thing
    http: POST /v1/speech
    summary: Speaks, from a recording.
    auth: key
    multipart: Recording
    reply: { 200: [{ bytes: [audio/mpeg, audio/wav] }, text] }
  - op: get_content
    http: GET /v1/content
    summary: Returns bytes.
    auth: key
    reply: { 200: { bytes: any } }
"""
SCHEMAS = """
schemas:
  Thing:
    fields:
      kind!: { enum: [a, b] }
      size: { type: integer, min: 0, nullable: true, default: 1 }
      inner: { type: Inner, default: null }
      parts: { array: { union: [TextPart, ImagePart], by: type }, min: 1, max: 4 }
      content: { union: [string, [string], [integer]], nullable: true }
      notes: { map: string }
      child: Thing
  Inner: { nullable: true, fields: { on: boolean } }
  TextPart: { fields: { type!: { const: text }, text!: string } }
  ImagePart: { fields: { type!: { const: image }, url!: { type: string, format: uri } } }
  Reply:
    fields:
      id!: string
      made!: { type: integer, min: 0, format: unixtime }
      state: { enum: [a] }
      why: string
      promised!: string
      results: [Later]
  Later: { fields: { size!: integer } }
  Recording: { fields: { file!: { type: string, format: binary }, include: [string] } }
  ErrorResponse: { fields: { error!: { fields: { message!: string } } } }
"""


def description():
    def record(properties, required=()):
        return {"type": "object", "properties": properties, "required": list(required)}

    string, ref = {"type": "string"}, (lambda name, **more: {"$ref": f"#/components/schemas/{name}", **more})
    thing = {"allOf": [
        record({"kind": {"type": "string", "enum": ["b", "a"]},
                "size": {"type": "integer", "minimum": 0, "nullable": True, "default": 1}, "inner": ref("Inner")}, ["kind"]),
        record({"parts": {"type": "array", "minItems": 1, "maxItems": 4,
                          "items": {"oneOf": [ref("ImagePart"), ref("TextPart")]}},
                "content": {"nullable": True, "oneOf": [string, {"type": "array", "items": {"type": "integer"}},
                                                        {"type": "array", "items": string}]},
                "notes": {"type": "object", "additionalProperties": string}, "child": ref("Thing")})]}
    constant = (lambda value: {"type": "string", "enum": [value]})
    schemas = {
        "Thing": thing,
        "Inner": {**record({"on": {"type": "boolean"}}), "nullable": True, "default": None},
        "TextPart": record({"type": constant("text"), "text": string}, ["type", "text"]),
        "ImagePart": record({"type": constant("image"), "url": {"type": "string", "format": "uri"}}, ["type", "url"]),
        "Reply": record({"id": string, "made": {"type": "integer"}, "state": string, "why": string, "promised": string,
                         "result": {"type": "array", "items": ref("Later")}}, ["id", "made"]),
        "Later": record({"size": {"type": "integer"}}),
        "ErrorResponse": record({"error": record({"message": string}, ["message"])}, ["error"]),
    }
    operation = {
        "parameters": [
            {"name": "limit", "in": "query", "schema": {"type": "integer", "minimum": 0, "maximum": 9, "default": 2}},
            {"name": "tags[]", "in": "query", "schema": {"type": "array", "items": string}}],
        "requestBody": {"content": {"application/json": {"schema": ref("Thing")}}},
        "responses": {"200": {"content": {"application/json": {"schema": ref("Reply")}}}}}
    binary = {"type": "string", "format": "binary"}
    recording = record({"file": binary, "include[]": {"type": "array", "items": string}}, ["file"])
    speak = {"requestBody": {"content": {"multipart/form-data": {"schema": recording}}},
             "responses": {"200": {"content": {"audio/mpeg": {"schema": binary}, "audio/wav": {"schema": binary},
                                               "text/plain": {"schema": string}}}}}
    content = {"responses": {"200": {"content": {"application/octet-stream": {"schema": binary}}}}}
    return {"paths": {"/things": {"post": operation}, "/speech": {"post": speak}, "/content": {"get": content}},
            "components": {"schemas": schemas}}


class CompareTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        with tempfile.TemporaryDirectory() as folder:
            for kind, text in (("operations", OPERATIONS), ("schemas", SCHEMAS)):
                path = Path(folder, kind, "things.yaml")
                path.parent.mkdir()
                path.write_text(text, encoding="utf-8")
            cls.contract, problems = load_contract(Path(folder))
        assert not problems.items, problems.items

    def found(self, change):
        document = copy.deepcopy(description())
        change(document, document["components"]["schemas"], document["paths"]["/things"]["post"])
        comparison = Comparison()
        compare_operations(self.contract, document, comparison)
        return comparison.found

    def test_equal_sides_have_no_difference(self):
        renamed = {("Reply.result", "field"): ("absent", "present"), ("Reply.results", "field"): ("present", "absent")}
        self.assertEqual(self.found(lambda document, schemas, operation: None), renamed)

    def test_a_planned_operation_is_compared_once_it_says_what_it_replies(self):
        replies = {op.name: op.replies for op in self.contract.operations}
        try:
            for operation in self.contract.operations:
                operation.planned = True
            self.assertIn(("Thing.size", "max"), self.found(self.larger))
            for operation in self.contract.operations:
                operation.replies = []
            self.assertNotIn(("Thing.size", "max"), self.found(self.larger))
        finally:
            for operation in self.contract.operations:
                operation.planned, operation.replies = False, replies[operation.name]

    @staticmethod
    def larger(document, schemas, operation):
        schemas["Thing"]["allOf"][0]["properties"]["size"].update(maximum=7)

    def test_each_kind_of_difference_is_found(self):
        first = (lambda schemas: schemas["Thing"]["allOf"][0]["properties"])
        second = (lambda schemas: schemas["Thing"]["allOf"][1]["properties"])
        recording = (lambda d: d["paths"]["/speech"]["post"]["requestBody"]["content"]["multipart/form-data"]["schema"]["properties"])
        answered = (lambda d, path, method: d["paths"][path][method]["responses"]["200"]["content"])
        cases = {
            ("POST /v1/things", "operation"): lambda d, s, o: d["paths"].update({"/other": d["paths"].pop("/things")}),
            ("create_thing", "status"): lambda d, s, o: o["responses"].update({"201": o["responses"].pop("200")}),
            ("create_thing?tags", "query"): lambda d, s, o: o["parameters"].pop(),
            ("create_thing?limit", "min"): lambda d, s, o: o["parameters"][0]["schema"].pop("minimum"),
            ("create_thing", "body"): lambda d, s, o: o.pop("requestBody"),
            ("Recording.include", "field"): lambda d, s, o: recording(d).pop("include[]"),
            ("Recording.file", "format"): lambda d, s, o: recording(d)["file"].pop("format"),
            ("speak_thing|bytes", "reply"): lambda d, s, o: answered(d, "/speech", "post").pop("audio/wav"),
            ("speak_thing|text", "reply"): lambda d, s, o: answered(d, "/speech", "post").pop("text/plain"),
            ("get_content|bytes", "reply"):
                lambda d, s, o: answered(d, "/content", "get").update({"application/octet-stream": {"schema": {"type": "string"}}}),
            ("Thing.kind", "enum"): lambda d, s, o: first(s)["kind"]["enum"].append("c"),
            ("Thing.kind", "required"): lambda d, s, o: s["Thing"]["allOf"][0]["required"].clear(),
            ("Thing.size", "type"): lambda d, s, o: first(s)["size"].update(type="number"),
            ("Thing.size", "max"): lambda d, s, o: first(s)["size"].update(maximum=7),
            ("Thing.size", "nullable"): lambda d, s, o: first(s)["size"].pop("nullable"),
            ("Thing.size", "default"): lambda d, s, o: first(s)["size"].update(default=True),
            ("Thing.size", "deprecated"): lambda d, s, o: first(s)["size"].update(deprecated=True),
            ("Thing.more", "field"): lambda d, s, o: first(s).update(more={"type": "string"}),
            ("Thing.parts", "max"): lambda d, s, o: second(s)["parts"].update(maxItems=5),
            ("Thing.parts[]|text", "arm"): lambda d, s, o: second(s)["parts"]["items"]["oneOf"].pop(),
            ("ImagePart.url", "format"): lambda d, s, o: s["ImagePart"]["properties"]["url"].pop("format"),
            ("Thing.content|array of string", "arm"): lambda d, s, o: second(s)["content"]["oneOf"].pop(),
            ("Thing.notes{}", "type"): lambda d, s, o: second(s)["notes"].update(additionalProperties={"type": "integer"}),
            ("Inner.on", "field"): lambda d, s, o: s["Inner"]["properties"].clear(),
            ("Reply.why", "required"): lambda d, s, o: s["Reply"]["required"].append("why"),
            ("Reply.state", "enum"): lambda d, s, o: s["Reply"]["properties"]["state"].update(enum=["c"]),
            ("Later.size", "type"): lambda d, s, o: s["Later"]["properties"]["size"].update(type="string"),
            ("ErrorResponse.error.message", "type"):
                lambda d, s, o: s["ErrorResponse"]["properties"]["error"]["properties"]["message"].update(type="integer"),
        }
        for key, change in cases.items():
            with self.subTest(key):
                self.assertIn(key, self.found(change))

    def test_a_difference_must_be_listed_and_a_listed_one_must_exist(self):
        found = {("Thing.size", "max"): (None, 7)}
        self.assertEqual(judge(found, {("Thing.size", "max"): (None, 7)}), [])
        self.assertEqual(len(judge(found, {})), 1)
        self.assertEqual(len(judge(found, {("Thing.size", "max"): (None, 8)})), 1)
        self.assertEqual(len(judge({}, {("Thing.size", "max"): (None, 7)})), 1)


if __name__ == "__main__":
    unittest.main()
