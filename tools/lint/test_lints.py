"""python3 -m unittest discover -s tools/lint -p 'test_*.py'"""
import pathlib
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import layers
import results
import sizes
import words


class FakeTree:
    """A tree of {path: text}."""

    def __init__(self, files):
        self.files = files
        self.paths = sorted(files)
        self.root = pathlib.Path(tempfile.gettempdir())

    def of(self, *endings):
        return [path for path in self.paths if path.endswith(endings)]

    def text(self, path):
        return self.files[path]

    def exists(self, path):
        return path in self.files


class LayersTest(unittest.TestCase):
    def faults(self, path, line):
        return layers.check(FakeTree({path: line + "\n"})).faults

    def test_down_and_within_is_fine(self):
        for path, header in (("src/api/a.cpp", "domain/b.hpp"), ("src/app/a.cpp", "base/b.hpp"), ("src/db/a.hpp", "db/b.hpp"),
                             ("src/store/a.cpp", "db/b.hpp"), ("src/engine/a.cpp", "net/b.hpp")):
            self.assertEqual(self.faults(path, f'#include "{header}"'), [], (path, header))

    def test_up_and_sideways_is_not(self):
        for path, header in (("src/domain/a.cpp", "api/b.hpp"), ("src/engine/a.cpp", "store/b.hpp"), ("src/net/a.cpp", "db/b.hpp"),
                             ("src/store/a.cpp", "net/b.hpp"), ("src/engine/a.cpp", "db/b.hpp"), ("src/json/a.cpp", "async/b.hpp")):
            self.assertEqual(len(self.faults(path, f'#include "{header}"')), 1, (path, header))

    def test_foreign_headers_stay_in_their_layer(self):
        self.assertEqual(self.faults("src/net/a.cpp", "#include <boost/beast/http.hpp>"), [])
        self.assertEqual(len(self.faults("src/net/a.hpp", "#include <boost/beast/http.hpp>")), 1)
        self.assertEqual(len(self.faults("src/engine/a.cpp", "#include <toml++/toml.h>")), 1)

    def test_unknown_layers_and_relative_includes(self):
        self.assertEqual(len(self.faults("src/api/a.cpp", '#include "b.hpp"')), 1)
        self.assertEqual(len(self.faults("src/stuff/a.cpp", '#include "base/b.hpp"')), 1)


class WordsTest(unittest.TestCase):
    def test_promises_and_machine_paths(self):
        lines = ["TO" + "DO later", "/wo" + "rk/main", "see /ho" + "me/jo/x"]
        for line in lines:
            self.assertEqual(len(words.check_words(FakeTree({"a.md": line})).faults), 1, line)
        fine = ["framework/main", "mkstemp XX" + "XXXX", "GET /v1/home/", "a/work/b", "$HOME/x"]
        for line in fine:
            self.assertEqual(words.check_words(FakeTree({"a.md": line})).faults, [], line)

    def test_names(self):
        for path in ("src/base/utils.hpp", "src/api/chat_helper.cpp", "src/common/a.hpp", "src/db/pool_manager.hpp"):
            self.assertEqual(len(words.check_names(FakeTree({path: ""})).faults), 1, path)
        self.assertEqual(words.check_names(FakeTree({"src/base/commonplace.hpp": ""})).faults, [])


class SentencesTest(unittest.TestCase):
    def faults(self, path, text):
        return words.check_sentences(FakeTree({path: text})).faults

    def test_a_sentence_has_its_subject(self):
        for path, text in (("a.hpp", "int a;  // Of" " the last reload."), ("a.cpp", "// Late. Who" " comes waits."),
                           ("a.py", '"""Whom' ' it asks."""'), ("a.py", "x = 1  # Whose" " it is"), ("a.md", "Who" " asks, waits."),
                           ("a.yaml", "doc: Who" " owns it.")):
            self.assertEqual(len(self.faults(path, text)), 1, (path, text))

    def test_questions_quotes_and_code_may(self):
        for path, text in (("a.hpp", "// Who" " is it? A visitor."), ("a.cpp", 'const char* a = "// Who' ' is it";'),
                           ("a.py", 'say("Who' ' goes there")'), ("a.md", "Those who come late, wait. WHO" " says so"),
                           ("models/a.md", "Who" " made it.")):
            self.assertEqual(self.faults(path, text), [], (path, text))


class ResultsTest(unittest.TestCase):
    HEAD = "# Results\n\nWhat they are.\n\n"
    COMMIT = f"Commit `{'0123456789' * 4}`, 2026-01-02, full run on 2 cores of something, load 0.1 at the start.\n\n"
    TABLE = "### A table\n\n| a | b |\n|---|---|\n| 1 | 2 |\n"

    def test_every_bench_has_a_commit_and_rows(self):
        whole = f"{self.HEAD}## store\n\n{self.COMMIT}{self.TABLE}\n## audit\n\n{self.COMMIT}{self.TABLE}"
        self.assertEqual(results.judge(whole, ["store", "audit"]).faults, [])
        for text, names in ((whole, ["store", "audit", "usage"]), (whole, ["store"]),
                            (whole.replace("Commit `0", "Commit `"), ["store", "audit"]),
                            (whole.replace("| 1 | 2 |\n", "", 1), ["store", "audit"]),
                            (whole.replace(self.TABLE, "", 1), ["store", "audit"])):
            self.assertNotEqual(results.judge(text, names).faults, [], text)
        self.assertEqual(len(results.judge(whole.replace("full", "quick", 1), ["store", "audit"]).notes), 1)

    def test_the_gateway_has_its_four_rows(self):
        rows = "".join(f"{row} 1 |\n" for row in results.GATEWAY)
        text = f"{self.HEAD}## gateway\n\n{self.COMMIT}### Rates\n\n| replies | connections | x |\n|---|---|---|\n{rows}"
        self.assertEqual(results.judge(text, ["gateway"]).faults, [])
        self.assertEqual(len(results.judge(text.replace("| stream | 32 | 1 |\n", ""), ["gateway"]).faults), 1)


class SizesTest(unittest.TestCase):
    def test_bounds(self):
        verdict = sizes.check_files(FakeTree({"a.cpp": "\n" * 801, "b.cpp": "\n" * 401, "c.cpp": "\n" * 400, "d.txt": "\n" * 900}))
        self.assertEqual((len(verdict.faults), len(verdict.notes)), (1, 1))


if __name__ == "__main__":
    unittest.main()
