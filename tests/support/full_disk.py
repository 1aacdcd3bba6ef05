"""Sessions on a file system of a few pages, which is mounted for this program alone: ``python full_disk.py FOLDER``."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from sessionbag import ManagerFactory, StoreUnavailable

CANNOT_MOUNT = 77
"""The exit status of this program where the system does not let it mount."""

SIZE = 256 * 1024


def main(folder: Path) -> int:
    """Fill the disk, see what happens, and make room again."""
    disk = folder / "disk"
    disk.mkdir(exist_ok=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", str(disk)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        return CANNOT_MOUNT
    try:
        fill(disk)
    finally:
        subprocess.run(["umount", str(disk)], check=True)  # noqa: S607  # as above, the system's
    return 0


def fill(disk: Path) -> None:
    """Write sessions until no more fit, then go on with those that are there."""
    with ManagerFactory(adapter="stream", options={"save_path": str(disk / "sessions")}) as factory:
        first = store(factory, 1)
        ballast = disk / "ballast"
        with ballast.open("wb", buffering=0) as file:
            _write_all_there_is_room_for(file)
        refused = 0
        for number in range(20):
            try:
                store(factory, number)
            except StoreUnavailable as error:
                refused += "Free space" in str(error)
        assert refused, "the disk was never full"
        session = factory.new_instance(first)
        assert (session["number"], len(session["filling"])) == (1, 3000)
        session["filling"] = "y" * 20_000
        try:
            session.save()
        except StoreUnavailable:
            refused += 1
        else:
            raise AssertionError("a record was written that there is no room for")
        assert factory.new_instance(first)["filling"] == "x" * 3000

        ballast.unlink()
        session.save()
        assert factory.new_instance(first)["filling"] == "y" * 20_000
        sys.stdout.write(f"full disk: {refused} writes refused, 0 records harmed\n")


def _write_all_there_is_room_for(file: object) -> None:
    try:
        while True:
            file.write(b"-" * 512)  # type: ignore[attr-defined]
    except OSError:
        return


def store(factory: ManagerFactory, number: int) -> str:
    """Store a session and return its id."""
    session = factory.new_instance()
    session.update(number=number, filling="x" * 3000)
    session.save()
    change = session.cookie_change()
    assert change is not None
    assert change.session_id is not None
    return change.session_id


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
