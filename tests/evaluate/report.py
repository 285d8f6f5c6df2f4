"""The run's result: a table for people, Markdown for a page, JSON for programs. All three say the same."""

import json

ATTACKER_COLUMNS = ("attacker", "setting", "tool", "sent", "let through before", "after", "seconds to block", "blocked", "listed as", "note")
USER_COLUMNS = ("ordinary user", "what", "requests", "refused", "wrongly blocked", "lost")
BAR_P99_SECONDS = 0.2


class Report:
    """Holds results and judges them."""

    def __init__(self, results, visitors, timing, lacking, reasons):
        self.results, self.visitors, self.timing, self.lacking, self.reasons = results, visitors, timing, lacking, reasons
        self.missing = sorted({case.tool for case in lacking})

    def faults(self):
        """Why the run is no success, one line each."""
        missed = [f"not blocked: {result.case.label}" for result in self.results if result.case.is_bar and not result.outcome.blocked]
        wronged = [f"wrongly blocked: {person.name} ({person.what})" for person, visitor in self.visitors if visitor.journal.refusals()]
        return missed + wronged + self.timing_faults()

    def timing_faults(self):
        if self.timing is None:
            return []
        if not self.timing.seconds:
            return ["time to block: no throwaway client was blocked"]
        slowest = self.timing.quantile(0.99)
        found = [f"time to block: p99 {1000 * slowest:.0f} ms, the bar is {1000 * BAR_P99_SECONDS:.0f} ms"] if slowest > BAR_P99_SECONDS else []
        return found + ([f"time to block: {self.timing.never} throwaway clients were never blocked"] if self.timing.never else [])

    def attacker_rows(self):
        for result in self.results:
            outcome = result.outcome
            yield (
                result.case.name, result.case.setting, result.case.tool, outcome.sent, outcome.before_refusal, outcome.after_refusal,
                "-" if outcome.seconds is None else f"{outcome.seconds:.1f}", "yes" if outcome.blocked else "NO",
                self.listed_as(result.case), result.note,
            )

        for case in self.lacking:
            yield case.name, case.setting, case.tool, "-", "-", "-", "-", "MISSING", "-", "the tool is not installed"

    def listed_as(self, case):
        listed = [source for source in case.sources if source in self.reasons]
        many = f"{len(listed)} of {len(case.sources)} addresses, " if len(case.sources) > 1 and listed else ""
        return many + self.reasons[listed[0]] if listed else "-"

    def user_rows(self):
        for person, visitor in self.visitors:
            journal = visitor.journal
            yield person.name, person.what, len(journal.exchanges), journal.refusals(), "YES" if journal.refusals() else "no", journal.lost()

    def timing_line(self):
        timing = self.timing
        if timing is None:
            return "time to block: not measured"
        if not timing.seconds:
            return f"time to block: nobody was timed ({timing.early} refused early, {timing.never} never)"
        p50, p99 = (1000 * timing.quantile(share) for share in (0.5, 0.99))
        return (f"time to block: p50 {p50:.0f} ms, p99 {p99:.0f} ms over {len(timing.seconds)} clients that cross at request {timing.crossing} "
                f"({timing.early} refused early, {timing.never} never)")

    def summary(self):
        judged = [result for result in self.results if result.case.is_bar]
        blocked = sum(result.outcome.blocked for result in judged)
        wronged = sum(1 for _, visitor in self.visitors if visitor.journal.refusals())
        lines = [f"{blocked} of {len(judged)} attackers blocked, {wronged} of {len(self.visitors)} ordinary users wrongly blocked", self.timing_line()]
        if self.missing:
            lines.append(f"INCOMPLETE, not installed: {', '.join(self.missing)} (Debian: apt-get install {' '.join(self.missing)})")
        return lines

    def text(self):
        return "\n".join((*aligned(ATTACKER_COLUMNS, self.attacker_rows()), "", *aligned(USER_COLUMNS, self.user_rows()), "", *self.summary(), *self.faults()))

    def markdown(self):
        parts = ("# Evaluation", "", *self.summary(), "", *piped(ATTACKER_COLUMNS, self.attacker_rows()), "", *piped(USER_COLUMNS, self.user_rows()), "",
                 *(f"- {fault}" for fault in self.faults()))
        return "\n".join(parts) + "\n"

    def json(self):
        timing = self.timing and {"crossing": self.timing.crossing, "p50_s": self.timing.quantile(0.5), "p99_s": self.timing.quantile(0.99),
                                  "clients": len(self.timing.seconds), "early": self.timing.early, "never": self.timing.never}
        value = {
            "attackers": [dict(zip(ATTACKER_COLUMNS, row)) | {"command": case.command, "sources": case.sources}
                          for row, case in zip(self.attacker_rows(), [result.case for result in self.results] + self.lacking)],
            "ordinary_users": [dict(zip(USER_COLUMNS, row)) | {"source": person.source}
                               for row, (person, _) in zip(self.user_rows(), self.visitors)],
            "time_to_block": timing, "missing_tools": self.missing, "faults": self.faults(),
        }
        return json.dumps(value, indent=2) + "\n"

    def write(self, folder):
        (folder / "report.md").write_text(self.markdown())
        (folder / "report.json").write_text(self.json())


def aligned(columns, rows):
    table = [columns, *(tuple(str(cell) for cell in row) for row in rows)]
    widths = [max(len(row[place]) for row in table) for place in range(len(columns))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in table]


def piped(columns, rows):
    lines = [columns, tuple("---" for _ in columns), *(tuple(str(cell).replace("|", "\\|") for cell in row) for row in rows)]
    return ["| " + " | ".join(line) + " |" for line in lines]
