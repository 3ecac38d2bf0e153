"""Unit tests of the generator: python3 -m unittest discover tools/contractc -p 'test_*.py'."""
import json
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import emit_cpp  # noqa: E402
import emit_openapi  # noqa: E402
import gate_log  # noqa: E402
import reports  # noqa: E402
from checker import unused_schemas  # noqa: E402
from reader import load_contract  # noqa: E402
from pattern import PatternError, compile_pattern  # noqa: E402
from tables import Tables, hash_name, perfect_hash  # noqa: E402

FIXTURE = HERE.parents[1] / "src" / "contract" / "fixture"
OPERATION = "operations:\n  - { op: get_it, http: GET /v1/it, summary: Gets it., auth: key, reply: { 200: It } }\n"


class Folder:
    """A contract of two files in a temporary folder."""

    def __init__(self, schemas, operations=OPERATION):
        self._folder = tempfile.TemporaryDirectory()
        self.path = Path(self._folder.name) / "c"
        for kind, text in (("schemas", schemas), ("operations", operations)):
            (self.path / kind).mkdir(parents=True)
            (self.path / kind / "a.yaml").write_text(text)

    def problems(self):
        contract, problems = load_contract(self.path)
        if not problems.items:
            Tables(contract, problems)
        return problems.items


def schema_problems(body):
    return Folder("schemas:\n  It:\n    fields:\n" + "".join(f"      {line}\n" for line in body.split("\n"))).problems()


class Model(unittest.TestCase):
    def expect(self, problems, *parts):
        self.assertEqual(len(problems), len(parts), problems)
        for problem, part in zip(problems, parts):
            self.assertIn(part, problem)

    def test_names_file_and_line(self):
        self.expect(schema_problems("a: string\nb: Missing"), "c/schemas/a.yaml:5: there is no schema 'Missing'")
        self.expect(schema_problems("a: { type: string, maxx: 3 }"), "c/schemas/a.yaml:4: 'maxx' is not known")

    def test_refuses_faults_in_types(self):
        for body, fault in (("a: strng", "'strng' is not a type"), ("a: [string, integer]", "exactly one type"),
                            ("a: { min: 3 }", "exactly one of"), ("a: { type: string, min: 3, max: 2 }", "above max"),
                            ("a: { type: integer, default: x }", "default of 'a'"),
                            ("a: { type: integer, max: 3, default: 4 }", "default of 'a'"),
                            ("a: { enum: [x, x] }", "different words"), ("a: { type: boolean, max: 1 }", "no meaning"),
                            ("a: { type: string, requires: zz }", "requires 'zz'"), ("a: string\na!: string", "twice"),
                            ("a!: { type: string, default: x }", "can never be used"),
                            ("a: { type: string, format: date }", "not a format"),
                            ("a: { type: string, pattern: '^(a|b)$' }", "pattern"),
                            ("a: { union: [{ fields: { x: string } }, { fields: { y: string } }], by: kind }",
                             "no arm of the union has a constant 'kind'"),
                            ("a: { union: [It, { fields: { y: string } }] }", "contains itself")):
            with self.subTest(body):
                self.expect(schema_problems(body), fault)

    def test_refuses_faults_in_one_of(self):
        start = "schemas:\n  It: { fields: { a: string, b: string, c!: string, d: { type: integer, default: 1 } }, one_of: "
        for names, fault in (("[a]", "at least two"), ("[a, z]", "names 'z'"), ("[a, c]", "names 'c'"), ("[a, d]", "names 'd'"),
                             ("[a, a]", "different names"), ("a", "different names")):
            with self.subTest(names):
                self.assertIn(fault, Folder(start + names + " }\n").problems()[0])
        self.assertEqual(Folder(start + "[a, b] }\n").problems(), [])

    def test_lists_and_deletions_are_shorthands(self):
        folder = Folder("schemas:\n  It: { list: string, ids: none }\n  Its: { list: It, ids: text }\n  Gone: { deleted: it.deleted }\n")
        contract, problems = load_contract(folder.path)
        self.assertEqual(problems.items, [])
        fields = (lambda name: [(f.name, f.required, f.type.form, f.type.nullable) for f in contract.schemas[name].fields])
        self.assertEqual([f[0] for f in fields("It")], ["object", "data", "has_more"])
        self.assertEqual(fields("Its")[2:4], [("first_id", True, "string", False), ("last_id", True, "string", False)])
        self.assertEqual(fields("Gone"), [("object", True, "const", False), ("id", True, "string", False),
                                          ("deleted", True, "boolean", False)])
        self.expect(Folder("schemas:\n  It: { list: string, ids: some }\n").problems(), "'ids' is one of")
        self.expect(Folder("schemas:\n  It: { deleted: it.deleted, fields: { a: string } }\n").problems(), "exactly one of")

    def test_pages_have_parameters(self):
        schemas = "schemas:\n  It: any\n  PageLimit: { type: integer, min: 1, max: 100 }\n"
        operation = OPERATION.replace("reply:", "page: PAGE, query: QUERY, reply:")
        def parameters(page, query="{}"):
            folder = Folder(schemas, operation.replace("PAGE", page).replace("QUERY", query))
            contract, problems = load_contract(folder.path)
            self.assertEqual(problems.items, [])
            return {f.name: contract.resolve(f.type) for f in contract.operations[0].query_fields}
        self.assertEqual(list(parameters("{}", "{ a: string }")), ["a", "limit", "after"])
        whole = parameters("{ order: desc, before: true, limit: 7, max: 9 }")
        self.assertEqual(list(whole), ["limit", "order", "after", "before"])
        self.assertEqual((whole["limit"].min, whole["limit"].max, whole["limit"].default), (1, 9, 7))
        self.assertEqual((whole["order"].values, whole["order"].default), (["asc", "desc"], "desc"))
        for page, query, fault in (("[]", "{}", "is a mapping"), ("{ size: 3 }", "{}", "'size' is not known"),
                                   ("{ order: up }", "{}", "'order' is one of"), ("{ limit: 200 }", "{}", "not above"),
                                   ("{ limit: 0 }", "{}", "not above"), ("{ before: maybe }", "{}", "'before' is true"),
                                   ("{}", "{ after: string }", "so has 'query'")):
            with self.subTest(page):
                problems = Folder(schemas, operation.replace("PAGE", page).replace("QUERY", query)).problems()
                self.assertIn(fault, problems[0])

    def test_refuses_schemas_without_meaning(self):
        self.expect(Folder("schemas:\n  It: Other\n  Other: It\n").problems(), "defined by itself")
        self.expect(Folder("schemas:\n  It: { extends: [It], fields: { a: string } }\n").problems(), "defined by itself")
        self.expect(Folder("schemas:\n  It: { union: [string, It] }\n").problems(), "contains itself")
        self.expect(Folder("schemas:\n  It: any\n  It: any\n").problems(), "'It' is written twice")
        self.expect(Folder("schemas: [\n").problems()[:1], "not YAML")

    def test_refuses_faults_in_operations(self):
        start = 'operations:\n  - { op: get_it, http: "GET /v1/it/{id}", summary: S., '
        for text, fault in (("path: { id: string }, reply: { 200: It } }", "must spell out 'auth'"),
                            ("auth: key, reply: { 200: It } }", "path parameter 'id' is not declared"),
                            ("auth: key, path: { id: string, x: string }, reply: { 200: It } }", "which the route lacks"),
                            ("auth: key, path: { id: string } }", "has no 'reply'"),
                            ("auth: key, path: { id: string }, reply: { 200: It }, scope: x }", "'scope' is not known"),
                            ("auth: admin_key, path: { id: string }, reply: { 200: It } }", "must spell out 'role'"),
                            ("auth: admin_key, role: member, path: { id: string }, reply: { 200: It } }", "does not know"),
                            ("auth: key, role: reader, path: { id: string }, reply: { 200: It } }", "does not know"),
                            ("auth: none, role: owner, path: { id: string }, reply: { 200: It } }", "does not know"),
                            ("auth: admin_key, role: project_owner, path: { id: string }, reply: { 200: It } }",
                             "needs a path parameter 'project_id'"),
                            ("auth: key, limited: files, path: { id: string }, reply: { 200: It } }", "is one of: requests"),
                            ("auth: none, limited: tokens, path: { id: string }, reply: { 200: It } }", "only an operation"),
                            ("auth: key, path: { id: string }, reply: { 404: It } }", "not a status of success"),
                            ("auth: key, path: { id: string }, reply: { 200: No } }", "no schema 'No'"),
                            ("auth: key, path: { id: string }, reply: { 200: It }, body_limit: much }", "a size"),
                            ("auth: key, path: { id: string }, reply: { 200: It }, file_limit: 1KiB }", "for a multipart body"),
                            ("auth: key, path: { id: string }, reply: { 200: It }, multipart: It, file_limit: 2MiB }", "not above"),
                            ("auth: key, limited: tokens, path: { id: string }, reply: { 200: It } }", "must say its 'usage'"),
                            ("auth: key, usage: words, path: { id: string }, reply: { 200: It } }", "'usage' of get_it is one of"),
                            ("auth: key, usage: images, path: { id: string }, reply: { 200: It } }", "names a source"),
                            ("auth: key, usage: { images: x }, path: { id: string }, reply: { 200: It } }", "names a source"),
                            ("auth: key, usage: { embeddings: image.edit }, path: { id: string }, reply: { 200: It } }",
                             "names a source"),
                            ("auth: none, usage: completions, path: { id: string }, reply: { 200: It } }", "with auth key"),
                            ("auth: key, cancel: always, path: { id: string }, reply: { 200: It } }", "when_client_leaves, never"),
                            ("auth: key, path: { id: string }, reply: { 200: bytes } }", "{ bytes: any }"),
                            ("auth: key, path: { id: string }, reply: { 200: { bytes: [sound] } } }", "{ bytes: any }"),
                            ("auth: key, path: { id: string }, reply: { 200: It }, events: { '': It, end: bye } }", "'end' is one of"),
                            ("auth: key, path: { id: string }, reply: { 200: It }, events: { a: It, error: It } }",
                             "{ event's name: schema }"),
                            ("auth: key, path: { id: string }, reply: { 200: It }, events: { a: It, error: { a: It } } }",
                             "is an event and the error event"),
                            ("auth: key, path: { id: string }, reply: { 200: It }, events: { a: It, error: { b: Odd } } }",
                             "nothing is known to put into 'size'")):
            with self.subTest(text):
                schemas = "schemas:\n  It: any\n  Odd: { fields: { type!: { const: error }, size!: integer } }\n"
                problems = Folder(schemas, start + text + "\n").problems()
                self.assertIn(fault, problems[0])

    def test_refuses_doubles(self):
        entry = "  - { op: get_it, http: GET /v1/it, summary: Gets it., auth: key, reply: { 200: It } }\n"
        self.expect(Folder("schemas:\n  It: any\n", OPERATION + entry).problems(), "operation 'get_it' is already at")
        self.expect(Folder("schemas:\n  It: any\n", OPERATION + entry.replace("get_it", "x")).problems(), "same route")

    def test_knows_words_that_yaml_takes_for_others(self):
        folder = Folder("schemas:\n  It: { fields: { on: { enum: [on, off, no] }, at: { enum: ['1:30', 2024-01-01] } } }\n")
        contract, problems = load_contract(folder.path)
        self.assertEqual(problems.items, [])
        values = [own.type.values for own in contract.schemas["It"].fields]
        self.assertEqual(values, [["on", "off", "no"], ["1:30", "2024-01-01"]])

    def test_finds_schemas_that_nobody_uses(self):
        folder = Folder("schemas:\n  It: [Part]\n  Part: string\n  Lone: string\n")
        contract, _ = load_contract(folder.path)
        self.assertEqual(unused_schemas(contract), ["Lone"])


class Parts(unittest.TestCase):
    def test_perfect_hash_gives_each_name_a_slot(self):
        names = ["max_prompt_tokens", "max_output_tokens", "max_tokens_per_1_minute", "max_images_per_1_minute",
                 "service_account.created", "service_account.updated", *[f"field_{n}" for n in range(60)]]
        seed, bits, slots = perfect_hash(names)
        for index, name in enumerate(names):
            self.assertEqual(slots[hash_name(name.encode(), seed) & (1 << bits) - 1], index)

    def test_patterns(self):
        self.assertEqual([(low, high) for _, low, high in compile_pattern(r"^[a-z]{2,4}-\d+x?$")],
                         [(2, 4), (1, 1), (1, 0xFFFFFFFF), (0, 1)])
        for text in ("abc", "^a", "^a*ab$", "^(a)$", "^a|b$", "^[a$", "^a{3,2}$", "^[z-a]$", "^a**$", "^ä$"):
            with self.subTest(text), self.assertRaises(PatternError):
                compile_pattern(text)

    def test_identifiers(self):
        self.assertEqual(emit_cpp.identifier("default"), "default_")
        self.assertEqual(emit_cpp.identifier("hate/threatening"), "hate_threatening")
        self.assertEqual(emit_cpp.snake_case("CreateChatCompletionRequest"), "create_chat_completion_request")
        self.assertEqual(emit_cpp.snake_case("VADConfig"), "vad_config")


class Outputs(unittest.TestCase):
    def setUp(self):
        self.contract, problems = load_contract(FIXTURE)
        self.tables = Tables(self.contract, problems)
        self.assertEqual(problems.items, [])

    def test_openapi(self):
        document = json.loads(emit_openapi.openapi_text(self.contract))
        schemas = document["components"]["schemas"]
        self.assertEqual(schemas["Everything"]["required"], ["name"])
        self.assertEqual(schemas["Everything"]["properties"]["note"], {"type": "string", "maxLength": 3})
        self.assertEqual(schemas["Tags"]["type"], ["object", "null"])
        self.assertEqual(schemas["Part"]["discriminator"], {"propertyName": "type"})
        parameters = {p["name"]: p for p in document["paths"]["/v1/things"]["get"]["parameters"]}
        self.assertEqual(parameters["limit"]["schema"], {"$ref": "#/components/schemas/PageLimit", "default": 20})
        self.assertEqual(parameters["before"]["description"], "The id of the entry that the page precedes.")
        self.assertEqual(schemas["ThingList"]["properties"]["data"]["items"], {"$ref": "#/components/schemas/Everything"})
        self.assertEqual(schemas["Source"]["oneOf"], [{"required": [name]} for name in ("url", "file", "text")])
        self.assertEqual(parameters["metadata"]["style"], "deepObject")
        self.assertIn("include[]", parameters)
        create = document["paths"]["/v1/things"]["post"]
        self.assertIn("text/event-stream", create["responses"]["200"]["content"])
        self.assertEqual((create["x-hearth-role"], create["x-hearth-limited"]), ("member", "tokens"))
        self.assertEqual(document["paths"]["/v1/things/{thing_id}"]["delete"]["x-hearth-role"], "owner")
        self.assertNotIn("x-hearth-role", document["paths"]["/v1/plans"]["post"])
        self.assertIn("model_not_found", create["responses"]["default"]["description"])
        self.assertEqual(create["x-hearth-cancel"], "when_client_leaves")
        speech = document["paths"]["/v1/things/{thing_id}/speech"]["post"]
        self.assertEqual(list(speech["responses"]["200"]["content"]), ["audio/mpeg", "audio/wav", "text/plain"])
        self.assertEqual(speech["x-hearth-cancel"], "never")
        part = document["paths"]["/v1/things/{thing_id}/parts/{part_id}"]["get"]
        self.assertEqual(list(part["responses"]["200"]["content"]), ["*/*"])
        run = document["paths"]["/v1/things/{thing_id}/runs"]["post"]["responses"]["200"]["content"]["text/event-stream"]
        talk = document["paths"]["/v1/things/{thing_id}/talk"]["get"]
        self.assertIn("101", talk["responses"])
        self.assertEqual(talk["x-hearth-socket"]["client"]["thing.do"], {"$ref": "#/components/schemas/ThingDo"})
        self.assertEqual(talk["x-hearth-socket"]["messageLimit"], 4096)
        self.assertEqual((run["x-hearth-error-event"], run["x-hearth-end"]), ({"failed": "StreamError"}, "event: done"))

    def test_reports(self):
        self.assertTrue(reports.coverage(self.contract).startswith("10/11 implemented\n"))
        self.assertIn("| things | 10 of 11 |", reports.operations_table(self.contract))
        self.assertIn('"\\x22decimal\\x22"', reports.fuzz_dictionary(self.tables))

    def test_gate(self):
        with tempfile.TemporaryDirectory() as folder:
            log = Path(folder) / "log"
            lines = [{"kind": "reply", "operation": "list_things", "status": 200},
                     {"kind": "reply", "operation": "create_thing", "status": 200},
                     {"kind": "event", "operation": "create_thing", "event": ""},
                     {"kind": "error", "operation": "create_thing", "status": 404, "code": "model_not_found"},
                     {"kind": "error", "operation": "plan_thing", "status": 501, "code": "not_implemented"},
                     {"kind": "violation", "operation": "", "what": "error 500", "message": "m"}]
            log.write_text("\n".join(map(json.dumps, lines)) + "\nnonsense\n")
            produced, violations, complaints = gate_log.read_log([log, Path(folder) / "absent"])
        self.assertEqual(violations, ["unknown route: error 500: m"])
        self.assertEqual(len(complaints), 2)
        lacking = gate_log.missing(self.contract, produced)
        self.assertIn("create_thing: reply 201 was never produced", lacking)
        self.assertFalse([line for line in lacking if line.startswith(("list_things", "plan_thing"))])
        self.assertEqual(len([line for line in lacking if line.startswith("create_thing")]), 1)
        self.assertIn("run_thing: event 'failed' was never produced", lacking)
        self.assertEqual([line for line in lacking if line.startswith("talk_to_thing")],
                         ["talk_to_thing: error 'model_not_found' was never produced",
                          "talk_to_thing: event 'thing.renamed' was never produced",
                          "talk_to_thing: event 'error' was never produced"])

    def test_generate_leaves_unchanged_files_alone(self):
        with tempfile.TemporaryDirectory() as folder:
            command = [sys.executable, str(HERE / "contractc"), "generate", "--contract", str(FIXTURE), "--out", folder]
            subprocess.run(command, check=True)
            before = {path: path.stat().st_mtime_ns for path in Path(folder).iterdir()}
            subprocess.run(command, check=True)
            self.assertEqual(before, {path: path.stat().st_mtime_ns for path in Path(folder).iterdir()})
            self.assertEqual(len(before), 8)


if __name__ == "__main__":
    unittest.main()
