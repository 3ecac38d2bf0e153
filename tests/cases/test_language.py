"""The case language itself."""
import hashlib
import json
import pathlib
import sys
import unittest
from types import SimpleNamespace
from unittest import mock

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import run_cases                                     # noqa: E402
from bodies import read_expected_bytes, render_form  # noqa: E402
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

    def test_an_event_may_end_the_stream(self):
        (case,) = CaseFile("x", '# T\nGET /\n-> 200\nevent: done\ndata: [DONE]\ndata: 1\n').parse()
        self.assertEqual(case.steps[0].expected.events[0], (False, "done", "[DONE]"))
        self.assertEqual(case.steps[0].expected.events[1][1], "")

    def test_mistakes_are_named(self):
        for text in ('# T\nPOST /\npart a "x"\n-> 200\n', '# T\nPOST /\npart a: "x" b.txt\n-> 200\n',
                     "# T\nGET /\n-> 200\nbytes: many\n", "# T\nGET /\n-> 200\nbytes: 3, ends 00\n",
                     "# T\nGET /\n-> 200\nbytes: 3 sha256 $a\n", "# T\nrepeat: soon\nGET /\n-> 200\n",
                     '# T\nPOST /\n{}\n-> 200\nwith part a: "x" -> 400\n',
                     "GET /\n-> 200\n", "# T\nnonsense\n", "# T\nGET /\n-> abc\n", "# T\n", '# T\nPOST /\n{"a": 1} x\n-> 200\n'):
            with self.subTest(text), self.assertRaises(CaseError):
                CaseFile("x", text).parse()


class Forms(unittest.TestCase):
    CASE = ('# T\nPOST /v1/files\npart purpose: "${kind}"\npart file: "a\\nb" as "a b.txt" text/plain\n'
            'part options: {"n": $n,\n "m": [1]}\npart big: 2 KiB of "abc" as big.bin\n-> 200\n'
            'with part purpose: "other" -> 400 invalid_value purpose\nwithout file -> 400 missing_required_parameter file\n'
            'with part more: "x" as x -> 400\n')

    def setUp(self):
        (self.case,) = CaseFile("x", self.CASE).parse()

    def test_parts(self):
        parts = self.case.steps[0].parts
        self.assertEqual([(p.name, p.filename, p.content_type) for p in parts],
                         [("purpose", None, None), ("file", "a b.txt", "text/plain"), ("options", None, None),
                          ("big", "big.bin", None)])
        body, content_type = render_form(parts, {"kind": "batch", "n": 3})
        boundary = content_type.removeprefix("multipart/form-data; boundary=").encode()
        self.assertTrue(body.endswith(b"\r\n--" + boundary + b"--\r\n"))
        pieces = body.split(b"--" + boundary)
        self.assertEqual(pieces[1], b'\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nbatch\r\n')
        self.assertEqual(pieces[2], b'\r\nContent-Disposition: form-data; name="file"; filename="a b.txt"\r\n'
                                    b"Content-Type: text/plain\r\n\r\na\nb\r\n")
        self.assertIn(b'\r\n\r\n{"n": 3, "m": [1]}\r\n', pieces[3])
        self.assertTrue(pieces[4].endswith(b"\r\n\r\n" + (b"abc" * 683)[:2048] + b"\r\n"))

    def test_variations(self):
        _, other, without, more = self.case.steps
        self.assertEqual([(p.name, p.content.text) for p in other.parts if p.name == "purpose"], [("purpose", "other")])
        self.assertEqual(other.expected.error, ("invalid_value", "purpose"))
        self.assertEqual(without.drop, "file")
        body, headers = run_cases.Bench.build(None, without, {"api_key": "k", "admin_key": "a", "kind": "x", "n": 1})
        self.assertNotIn(b'name="file"', body)
        self.assertTrue(headers["content-type"].startswith("multipart/form-data; boundary="))
        self.assertEqual([p.name for p in more.parts], ["purpose", "file", "options", "big", "more"])


class Bytes(unittest.TestCase):
    def faults(self, text, body, variables=None):
        return read_expected_bytes(text).match(body, {} if variables is None else variables)

    def test_lengths(self):
        self.assertEqual(self.faults("3", b"abc"), [])
        self.assertTrue(self.faults("3", b"ab"))
        self.assertEqual(self.faults("1..2 KiB", b"ab" * 1024), [])
        self.assertTrue(self.faults("1..2 KiB", b"ab" * 1025))
        self.assertTrue(self.faults("1..2", b""))

    def test_contents(self):
        self.assertEqual(self.faults('7 of "abc"', b"abcabca"), [])
        self.assertIn("byte 3 differs", self.faults('7 of "abc"', b"abcXbca")[0])
        self.assertEqual(self.faults('4, starts "\u00ffa"', b"\xffabc"), [])
        self.assertEqual(self.faults("4, starts ff61", b"\xffabc"), [])
        self.assertTrue(self.faults("4, starts 00", b"\xffabc"))

    def test_sums(self):
        total, known = hashlib.sha256(b"abc").hexdigest(), {}
        self.assertEqual(self.faults(f"3, sha256 {total}, starts 61", b"abc"), [])
        self.assertTrue(self.faults(f"3, sha256 {total}", b"abd"))
        self.assertEqual(self.faults("3, sha256 $sum", b"abc", known), [])
        self.assertEqual(known, {"sum": total})
        self.assertTrue(self.faults("3, sha256 $sum", b"abd", known))

    def test_a_reply_is_judged_by_them(self):
        (case,) = CaseFile("x", "# T\nGET /\n-> 200\ncontent-type: audio/*\nbytes: 3, starts 61\n").parse()
        (step,) = case.steps
        reply = SimpleNamespace(status=200, complete=True, body=b"abc", header=lambda _: "audio/wav")
        self.assertEqual(run_cases.Bench.judge(None, step.expected, reply, {}), [])
        reply.body = b"bbc"
        self.assertEqual(len(run_cases.Bench.judge(None, step.expected, reply, {})), 1)


class Repetition(unittest.TestCase):
    """`repeat`, against replies that count up from 1."""

    def take(self, text):
        (case,) = CaseFile("x", f"# T\n{text}").parse()
        bench, count, now = run_cases.Bench.__new__(run_cases.Bench), iter(range(1, 1000)), [0.0]

        def reply(*_, **__):
            return SimpleNamespace(status=200, complete=True, body=json.dumps({"n": next(count), "m": 7}).encode(),
                                   header=lambda _: "application/json", json=lambda: json.loads(made[-1].body))

        made, variables = [], {"api_key": "k", "admin_key": "a"}

        def request(*arguments, **options):
            made.append(reply(*arguments, **options))
            return made[-1]

        def sleep(seconds):
            now[0] += seconds

        with mock.patch.object(run_cases.Bench, "target", None), mock.patch.object(run_cases, "request", request), \
                mock.patch.object(run_cases.time, "monotonic", lambda: now[0]), mock.patch.object(run_cases.time, "sleep", sleep):
            faults = bench.take(case.steps[0], variables)
        return faults, variables, len(made), now[0]

    def test_it_goes_on_until_the_reply_matches(self):
        faults, variables, tries, _ = self.take('repeat: 10 s\nGET /\n-> 200\n{"m": $m, "n": 4}\n')
        self.assertEqual((faults, tries, variables["m"]), ([], 4, 7))

    def test_what_a_wrong_reply_gave_is_forgotten(self):
        faults, variables, tries, _ = self.take('repeat: 10 s\nGET /\n-> 200\n{"n": $n=<int>, "m": 8 | $n}\n')
        self.assertEqual((faults, tries, variables["n"]), ([], 7, 7))

    def test_it_ends_and_says_so(self):
        faults, variables, tries, took = self.take('repeat: 3 s\nGET /\n-> 200\n{"n": 0, "m": $m}\n')
        self.assertIn(f"not within 3 s, in {tries} tries", faults[0])
        self.assertGreater(len(faults), 1)
        self.assertNotIn("m", variables)
        self.assertLessEqual(took, 3)
        self.assertGreater(tries, 5)

    def test_only_the_request_below_is_repeated(self):
        (case,) = CaseFile("x", "# T\nrepeat: 3 s\nGET /\n-> 200\nGET /\n-> 200\n").parse()
        self.assertEqual([step.repeat for step in case.steps], [3, None])


if __name__ == "__main__":
    unittest.main()
