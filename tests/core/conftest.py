"""What the core's tests share: distributions that are really installed, for the length of a test."""

import os
import sys
from itertools import count

import pytest

_ticks = count(1)


class Site:
    """A folder on the import path, into which distributions are installed."""

    def __init__(self, path):
        path.mkdir()
        self.path = path

    def install(self, distribution, *, version="1.0", modules=None, **groups):
        """Write the files that an installer would; ``groups`` are entry points by the last word of their group."""
        folder = self.path / f"{distribution.replace('-', '_')}-{version}.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n")
        lines = []
        for group, names in groups.items():
            lines.append(f"[sessionbag.{group}]")
            lines.extend(f"{name} = {target}" for name, target in names.items())
        (folder / "entry_points.txt").write_text("\n".join(lines) + "\n")
        for module, source in (modules or {}).items():
            (self.path / f"{module}.py").write_text(source)
        self.touch()
        return folder

    def touch(self):
        """Give the folder another time of change: a file system may not tell two changes apart within milliseconds."""
        os.utime(self.path, ns=(0, next(_ticks) * 10**9))


@pytest.fixture
def make_site(tmp_path, monkeypatch):
    """Return a function that puts one more folder at the front of the import path."""
    before = set(sys.modules)
    sites = []
    # An import would write __pycache__ into the folder, which then looks as if something had been installed.
    monkeypatch.setattr(sys, "dont_write_bytecode", True)

    def make():
        site = Site(tmp_path / f"site{len(sites)}")
        sites.append(site)
        monkeypatch.syspath_prepend(str(site.path))
        return site

    yield make
    for name in set(sys.modules) - before:
        if str(tmp_path) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


@pytest.fixture
def site(make_site):
    """Return a folder on the import path."""
    return make_site()
