"""Copy all sessions to another store while the application uses them: ids, data and lifetimes stay as they are.

It may be interrupted at any moment, and run as often as you like: it goes on where it was, takes over what changed
since, and never overwrites what the application changed in the target. The guide tells the steps of a move.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sessionbag.errors import ConfigurationError, StoreUnavailable

from sessionbag_cli._journal import Journal, default_path
from sessionbag_cli._moving import Pass
from sessionbag_cli._report import Report
from sessionbag_cli._settling import Settling
from sessionbag_cli._stores import described, listable, opened_raw
from sessionbag_cli._terminal import end_as_interrupted, progressing

if TYPE_CHECKING:
    import argparse

    from sessionbag.cli import Output

    from sessionbag_cli._settling import Store

HELP: Final = "copy all sessions to another store, while they are used"
EXAMPLES: Final = """\
examples:
  sessionbag copy stream:///var/lib/shop/sessions sqlite:///var/lib/shop/sessions.sqlite
  sessionbag copy --follow env:OLD_SESSIONS env:NEW_SESSIONS

env:NAME stands for the URL in that variable: arguments show in lists of processes, and URLs may hold passwords.
exit status 1 when a session could not be copied, 130 when it was interrupted; then run it again
"""


def declare(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("source", metavar="SOURCE", help="the URL of the store that has the sessions, or env:NAME")
    parser.add_argument("target", metavar="TARGET", help="the URL of the store that is to have them, or env:NAME")
    parser.add_argument("--follow", action="store_true", help="go on, pass after pass, until you interrupt it")
    parser.add_argument(
        "--every", type=float, default=1.0, metavar="SECONDS", help="with --follow: the pause between passes (1)"
    )
    parser.add_argument("--passes", type=int, default=3, metavar="N", help="without --follow: passes at most (3)")
    parser.add_argument("--workers", type=int, default=4, metavar="N", help="sessions copied at the same time (4)")
    parser.add_argument(
        "--journal", type=Path, metavar="FILE", help="where it keeps what it did (in your state folder)"
    )
    parser.add_argument(
        "--target-in-use", action="store_true", help="begin a copy into a store that holds sessions already"
    )


def run(given: argparse.Namespace, output: Output) -> int:
    """Copy, and report what was done whatever happens."""
    if given.passes < 1 or not 1 <= given.workers <= 64 or not given.every >= 0:  # noqa: PLR2004  # threads
        raise ConfigurationError("--passes is 1 or more, --workers 1 to 64, and --every 0 seconds or more")
    end_as_interrupted()
    with opened_raw(given.source) as source, opened_raw(given.target, make=True) as target:
        stores = listable(source, "the source"), listable(target, "the target")
        names = described(source), described(target)
        if names[0] == names[1]:
            raise ConfigurationError("source and target are one store. Give two")
        with Journal(given.journal or default_path(*names), *names) as journal:
            _check_target(stores[1], journal, in_use=given.target_in_use)
            copying = _Copying(*stores, journal, given.workers)
            try:
                copying.follow(given.every) if given.follow else copying.run(given.passes)
            finally:
                copying.report.print(output)
    return copying.report.status


def _check_target(target: Store, journal: Journal, *, in_use: bool) -> None:
    """Refuse a target whose sessions nobody remembers; forget what was copied into one that was emptied since."""
    is_empty = next(iter(target.scan()), None) is None
    is_first = journal.begin(anew=is_empty)
    if is_first and not is_empty and not in_use:
        raise ConfigurationError(
            "the target holds sessions already, and there is no journal of an earlier copy. Where one was begun with "
            "another journal, name that with --journal; to copy into a store in use, say --target-in-use"
        )
    journal.commit()


class _Copying:
    """The passes of one call."""

    def __init__(self, source: Store, target: Store, journal: Journal, workers: int) -> None:
        self._source: Final = source
        self._settling: Final = Settling(source, target)
        self._journal: Final = journal
        self._workers: Final = workers
        self.report: Final = Report(journal.path)

    def run(self, passes: int) -> None:
        """Make passes until one finds nothing to do, which shows that both stores agree."""
        for _ in range(passes):
            if not self._pass().written:
                return

    def follow(self, every: float) -> None:
        """Make passes until interrupted; a store that does not answer is tried again at the next one."""
        self.report.follows = True
        try:
            while True:
                self._try_pass()
                time.sleep(every)
        except KeyboardInterrupt:
            return

    def _try_pass(self) -> None:
        try:
            done = self._pass()
        except StoreUnavailable as error:
            _tell(f"{error}. Trying again")
        else:
            if self.report.finished == 1:
                _tell(f"{done.accounted} sessions are copied. Following until you interrupt it")

    def _pass(self) -> Pass:
        done = Pass(self._source, self._settling, self._journal, self._workers)
        self.report.begin(done)
        total = sum(1 for _ in self._source.scan()) if sys.stderr.isatty() else None
        with progressing(f"pass {self.report.passes}", total) as progress:
            done.run(progress)
        self.report.finish()
        return done


def _tell(message: str) -> None:
    """Print what cannot wait for the report."""
    sys.stderr.write(f"sessionbag: {message}\n")
    sys.stderr.flush()
