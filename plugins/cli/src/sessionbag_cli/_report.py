"""What a copy came to, for people and for programs."""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING, Final

from sessionbag_cli._settling import Outcome
from sessionbag_cli._terminal import console, facts

if TYPE_CHECKING:
    from pathlib import Path

    from sessionbag.cli import Output

    from sessionbag_cli._moving import Pass

_TEXTS: Final = {
    Outcome.COPIED: "copied",
    Outcome.UPDATED: "taken over again, because they changed in the source",
    Outcome.DESTROYED: "destroyed in the target, because they were in the source",
    Outcome.ENDED: "ended in the target, and left so",
    Outcome.AHEAD: "newer in the target, and left so",
    Outcome.KEPT: "changed in both; the target's stands",
    Outcome.BUSY: "written all the time, and not settled",
    Outcome.TOO_LARGE: "too large for the target, and NOT copied",
}
_OF_ALL_PASSES: Final = (Outcome.COPIED, Outcome.UPDATED, Outcome.DESTROYED, Outcome.KEPT)
_OF_THE_LAST: Final = (Outcome.ENDED, Outcome.AHEAD, Outcome.BUSY, Outcome.TOO_LARGE)


class Report:
    """Knows at any moment what was done."""

    def __init__(self, journal: Path) -> None:
        """Begin without passes."""
        self.passes = 0
        self.finished = 0
        """How many of the passes came to their end."""
        self.follows = False
        self._last: Pass | None = None
        self._last_is_finished = False
        self._former: Final[Counter[Outcome]] = Counter()
        self._journal: Final = journal
        self._begun: Final = time.monotonic()

    def begin(self, one: Pass) -> None:
        """Take a pass that begins; of the one before only its numbers are kept, because who follows makes many."""
        if self._last is not None:
            self._former.update(self._last.counts)
        self._last, self._last_is_finished = one, False
        self.passes += 1

    def finish(self) -> None:
        """Note that the last pass came to its end."""
        self._last_is_finished = True
        self.finished += 1

    @property
    def status(self) -> int:
        """The exit status: 1 where a session is not in the target that should be."""
        last = self._last
        failed = last is None or not self.finished or last.counts[Outcome.TOO_LARGE] or last.counts[Outcome.BUSY]
        return 1 if failed else 0

    @property
    def verified(self) -> bool:
        """Whether the last pass read every session of the source and found nothing to do."""
        return self._last is not None and self._last_is_finished and not self._last.written and not self.status

    def print(self, output: Output) -> None:
        """Print it."""
        last = self._last
        if last is None:
            return
        counts = self._counts(last)
        shown = console(output)
        facts(shown, [(str(counts[one]), _TEXTS[one]) for one in _TEXTS if counts[one]])
        shown.print(self._conclusion(last))
        for key in last.too_large:
            shown.print(f"too large: {key}")
        if last.source_vanished:
            shown.print("The source holds no session any more, so none was destroyed in the target for that.")
        output.result(
            {
                "verified": self.verified,
                "sessions": last.accounted,
                "identical": last.counts[Outcome.SAME],
                **{outcome.name.lower(): counts[outcome] for outcome in _TEXTS},
                "too_large_keys": last.too_large,
                "passes": self.passes,
                "finished": self._last_is_finished,
                "seconds": round(time.monotonic() - self._begun, 3),
                "journal": str(self._journal),
            }
        )

    def _counts(self, last: Pass) -> Counter[Outcome]:
        """Return what all passes did, and what the last one found."""
        done = {outcome: self._former[outcome] + last.counts[outcome] for outcome in _OF_ALL_PASSES}
        return Counter({**done, **{outcome: last.counts[outcome] for outcome in _OF_THE_LAST}})

    def _conclusion(self, last: Pass) -> str:
        seconds = f"{self.passes} passes, {time.monotonic() - self._begun:.1f} s"
        same = f"{last.counts[Outcome.SAME]} of {last.accounted} sessions are the same in both stores, byte by byte"
        if self.verified and not last.accounted:
            return f"The source holds no session, so there was nothing to copy ({seconds})."
        if self.verified:
            return f"Verified: {same} ({seconds})."
        if not self._last_is_finished and not self.follows:
            return f"Not finished ({seconds}). Run it again: it goes on where it was."
        return f"{same}; {last.written} changed during the last pass ({seconds}). Run it again to take over the rest."
