"""The files that lints look at: what git tracks and what it would, were it added; and what a lint answers."""
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


@dataclass
class Verdict:
    summary: str
    faults: list = field(default_factory=list)
    notes: list = field(default_factory=list)


class Tree:
    """Paths are strings relative to the root, with slashes."""

    def __init__(self, root=ROOT):
        self.root = Path(root)
        listing = subprocess.run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=self.root,
                                 check=True, stdout=subprocess.PIPE).stdout.decode()
        self.paths = sorted({path for path in listing.split("\0") if path and (self.root / path).is_file()})

    def of(self, *endings):
        return [path for path in self.paths if path.endswith(endings)]

    def text(self, path):
        return (self.root / path).read_text(encoding="utf-8", errors="replace")

    def exists(self, path):
        return (self.root / path).exists()
