"""Markdown tables with a verdict in each row."""
import statistics


def median(values):
    values = list(values)
    return statistics.median(values) if values else float("nan")


def verdict(holds):
    return "ok" if holds else "**MISSED**"


class Table:
    def __init__(self, title, columns, note=""):
        self.title, self.columns, self.note = title, columns, note
        self.rows = []
        self.missed = 0

    def add(self, *cells, holds=None):
        """`holds`: whether the row meets its target; None where it has none."""
        self.missed += holds is False
        self.rows.append([*map(str, cells), "" if holds is None else verdict(holds)])

    def __str__(self):
        lines = [f"## {self.title}", ""]
        if self.note:
            lines += [self.note, ""]
        lines.append("| " + " | ".join([*self.columns, "verdict"]) + " |")
        lines.append("|" + "---|" * (len(self.columns) + 1))
        lines += ["| " + " | ".join(row) + " |" for row in self.rows]
        return "\n".join(lines) + "\n"
