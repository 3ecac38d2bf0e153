"""The case language itself."""
import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from language import CaseError, CaseFile             # noqa: E402
from patterns import PatternError, Reader, fill, match  # noqa: E402


def faults(pattern, value, variables=None):
    return match(Reader(pattern).value(), value, {} if variables is None else variables)


class Patterns(unittest.TestCase):
    def test_constants_differ_by_kind(self):
        self.assertEqual(faults("1", 1), [])
        self.assertTrue(faults("1", True))
        self.assertTrue(faults("true", 1))
        self.assertTrue(faults("null", 0))

    def test_members_are_closed_unless_they_say_otherwise(self):
        self.assertTrue(faults('{"a": 1}', {"a": 1, "b": 2}))
        self.assertEqual(faults('{"a": 1, ...}', {"a": 1, "b": 2}), [])
        self.assertTrue(faults('{"a": 1, ...}', {"b": 2}))

    def test_lists(self):
        self.assertEqual(faults("[1, ..., 3]", [1, 2, 2, 3]), [])
        self.assertTrue(faults("[1, ..., 3]", [1]))
        self.assertEqual(faults("[..., 2, ..., 4, ...]", [1, 2, 3, 4]), [])
        self.assertTrue(faults("[..., 4, ..., 2]", [2, 4]))
        self.assertEqual(faults("[each <int>]", [1, 2]), [])
        self.assertTrue(faults("[each <int>]", [1, "2"]))
        self.assertEqual(faults("[3 of 7]", [7, 7, 7]), [])

    def test_capture_and_use(self):
        known = {}
        self.assertEqual(faults('[$id=~"c-*", $id]', ["c-1", "c-1"], known), [])
        self.assertEqual(known, {"id": "c-1"})
        self.assertTrue(faults("$id", "c-2", known))

    def test_either_and_texts(self):
        self.assertEqual(faults('"a" | "b" | null', None), [])
        self.assertTrue(faults('"a" | "b"', "c"))
        self.assertEqual(faults('"x${y}"', "x1", {"y": 1}), [])

    def test_requests(self):
        self.assertEqual(fill(Reader('{"a": ["${z*3}", 2 of $n]}').value(), {"n": 4}), {"a": ["zzz", 4, 4]})
        with self.assertRaises(PatternError):
            fill(Reader("[<int>]").value(), {})


class Files(unittest.TestCase):
    def test_a_case(self):
        cases = CaseFile("x", '# Title\nneeds: trained\nauth: none\nPOST /a\nX-A: b\n{"a":\n 1}\n-> 200\nx-b: c*\n{"b": 2, ...}\n'
                              'with {"a": 2} -> 400 bad a\nwithout a -> 400 missing\nGET /b\n-> 200\n').parse()
        (case,) = cases
        self.assertEqual([step.method for step in case.steps], ["POST", "POST", "POST", "GET"])
        self.assertEqual([step.auth for step in case.steps], ["none", "none", "none", "key"])
        self.assertEqual(case.needs, {"trained"})
        self.assertEqual(case.steps[0].headers, [("X-A", "b")])
        self.assertEqual(case.steps[0].expected.headers, [("x-b", "c*")])
        self.assertEqual(case.steps[1].expected.error, ("bad", "a"))
        self.assertEqual(case.steps[2].drop, "a")

    def test_events(self):
        (case,) = CaseFile("x", '# T\nGET /\n-> 200\ndata: {"a": 1}\n...\nevent: e\ndata*: *\ndata: [DONE]\n').parse()
        self.assertEqual(len(case.steps[0].expected.events), 4)
        self.assertEqual(case.steps[0].expected.events[2][:2], (True, "e"))

    def test_mistakes_are_named(self):
        for text in ("GET /\n-> 200\n", "# T\nnonsense\n", "# T\nGET /\n-> abc\n", "# T\n", '# T\nPOST /\n{"a": 1} x\n-> 200\n'):
            with self.subTest(text), self.assertRaises(CaseError):
                CaseFile("x", text).parse()


if __name__ == "__main__":
    unittest.main()
