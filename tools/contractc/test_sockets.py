"""Tests of `socket:`."""
import sys
import unittest
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parent))

from reader import load_contract  # noqa: E402
from test_contractc import Folder  # noqa: E402

_SCHEMAS = """schemas:
  Ask: { fields: { type!: { const: ask }, text: string } }
  Answer: { fields: { type!: { const: answer } } }
  Failure: { fields: { type!: { const: error }, error!: object } }
  Loose: { fields: { type: { const: loose } } }
  Plain: string
"""
_OPERATION = """operations:
  - op: talk
    http: GET /v1/talk
    summary: Talks.
    auth: key
"""


def problems_of(socket, operation=_OPERATION):
    return Folder(_SCHEMAS, operation + "    socket: " + socket + "\n").problems()


class Sockets(unittest.TestCase):
    def test_reads_a_socket(self):
        folder = Folder(_SCHEMAS, _OPERATION + "    socket:\n      client: { ask: Ask }\n"
                        "      server: { answer: Answer, error: Failure }\n      subprotocols: [one, two.v1]\n"
                        "      message_limit: 2MiB\n")
        contract, problems = load_contract(folder.path)
        self.assertEqual(problems.items, [])
        socket = contract.operations[0].socket
        self.assertEqual((socket.client, socket.server), ({"ask": "Ask"}, {"answer": "Answer", "error": "Failure"}))
        self.assertEqual((socket.subprotocols, socket.message_limit), (["one", "two.v1"], 2 << 20))

    def test_names_faults(self):
        good = "client: { ask: Ask }, server: { answer: Answer, error: Failure }"
        for socket, fault in (("5", "'socket' of talk holds"),
                              (f"{{ {good}, more: 1 }}", "'more' is not known"),
                              ("{ client: { ask: Ask } }", "'server' of the socket talk maps"),
                              ("{ client: {}, server: { error: Failure } }", "'client' of the socket talk maps"),
                              ("{ client: { ask: Ask }, server: { answer: Answer } }", "must hold 'error'"),
                              ("{ client: { ask: Answer }, server: { error: Failure } }", "'type!' of Answer"),
                              ("{ client: { loose: Loose }, server: { error: Failure } }", "'type!' of Loose"),
                              ("{ client: { ask: Plain }, server: { error: Failure } }", "needs an object schema"),
                              ("{ client: { Ask: Ask }, server: { error: Failure } }", "not the name of an event"),
                              (f"{{ {good}, subprotocols: [a b] }}", "'subprotocols' must be a list"),
                              (f"{{ {good}, message_limit: much }}", "'message_limit' must be a size")):
            with self.subTest(socket):
                problems = problems_of(socket)
                self.assertTrue(problems and any(fault in problem for problem in problems), problems)

    def test_names_unknown_schemas_once(self):
        problems = problems_of("{ client: { ask: Missing }, server: { error: Failure } }")
        self.assertEqual(len([problem for problem in problems if "there is no schema 'Missing'" in problem]), 1)

    def test_refuses_what_a_socket_has_not(self):
        socket = "{ client: { ask: Ask }, server: { answer: Answer, error: Failure } }"
        for line, fault in (("    reply: { 200: Answer }\n", "has no 'reply'"), ("    body: Ask\n", "has no 'body'"),
                            ("    events: { \"\": Answer }\n", "has no 'events'")):
            with self.subTest(line):
                problems = problems_of(socket, _OPERATION + line)
                self.assertTrue(any(fault in problem for problem in problems), problems)
        problems = problems_of(socket, _OPERATION.replace("GET", "POST"))
        self.assertTrue(any("begins with a GET" in problem for problem in problems), problems)


if __name__ == "__main__":
    unittest.main()
