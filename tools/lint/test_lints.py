"""python3 -m unittest discover -s tools/lint -p 'test_*.py'"""
import pathlib
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import layers
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


class SizesTest(unittest.TestCase):
    def test_bounds(self):
        verdict = sizes.check_files(FakeTree({"a.cpp": "\n" * 801, "b.cpp": "\n" * 401, "c.cpp": "\n" * 400, "d.txt": "\n" * 900}))
        self.assertEqual((len(verdict.faults), len(verdict.notes)), (1, 1))


if __name__ == "__main__":
    unittest.main()
