"""How long a bench runs."""
import enum


class Effort(enum.Enum):
    FULL = "full"
    QUICK = "quick"      # rough numbers
    INSTANT = "instant"  # no numbers at all: whether the bench still works

    def choose(self, full, quick, instant):
        return {Effort.FULL: full, Effort.QUICK: quick, Effort.INSTANT: instant}[self]
