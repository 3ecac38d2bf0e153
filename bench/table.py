"""Markdown tables with a verdict in each row."""
import re
import statistics

NO_NUMBER = re.compile(r"(?<![\w-])-?(?:nan|inf)(?![\w-])")


def median(values):
    values = list(values)
    return statistics.median(values) if values else float("nan")


def verdict(holds):
    return "ok" if holds else "**MISSED**"


class Table:
    def __init__(self, title, columns, note=""):
        self.title, self.columns, self.note = title, columns, note
        self.rows = []
        self.broken = []
        self.missed = 0

    def add(self, *cells, holds=None, is_speed=True):
        """`holds`: whether the row meets its target; None where it has none. A target that is no matter of speed must hold."""
        if not is_speed and holds is False:
            self.broken.append(" | ".join(map(str, cells)))
        self.missed += holds is False
        self.rows.append([*map(str, cells), "" if holds is None else verdict(holds)])

    def faults(self):
        """Why this is no result, however slow it may be: it has no rows, a number in it is none, or something was lost."""
        if not self.rows:
            return ["the table has no rows"]
        return self.broken + [f"no number in: {' | '.join(row)}" for row in self.rows if any(NO_NUMBER.search(cell) for cell in row)]

    def render(self, level=2):
        """As Markdown, under a heading of that level."""
        lines = [f"{'#' * level} {self.title}", ""]
        if self.note:
            lines += [self.note, ""]
        lines.append("| " + " | ".join([*self.columns, "verdict"]) + " |")
        lines.append("|" + "---|" * (len(self.columns) + 1))
        lines += ["| " + " | ".join(row) + " |" for row in self.rows]
        return "\n".join(lines) + "\n"


class PrintedTable(Table):
    """What a program of its own printed: text with Markdown tables in it. `missed`: whether its status said so."""

    def __init__(self, title, text, missed):
        super().__init__(title, [])
        self.text, self.missed = text, int(missed)
        lines = [line for line in text.splitlines() if line.startswith("|")]
        rule = [set(line) <= set("|-: ") for line in lines]
        for at, line in enumerate(lines):
            if not rule[at] and not (at + 1 < len(lines) and rule[at + 1]):  # neither a rule nor the head above one
                self.rows.append([cell.strip() for cell in line.strip("|").split("|")])

    def render(self, level=2):
        return f"{'#' * level} {self.title}\n\n{self.text}\n"
