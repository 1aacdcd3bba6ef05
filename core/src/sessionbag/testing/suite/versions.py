"""Rules about versions: every write names what it replaces, and nothing comes back that has ended."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pytest

from sessionbag.errors import SessionConflict, SessionGone
from sessionbag.testing.jobs import record
from sessionbag.testing.suite.base import TTL, Kit, KitBase, refusing
from sessionbag.threads import innermost

if TYPE_CHECKING:
    from sessionbag.handler import SessionHandler
    from sessionbag.testing.recipe import Handler


class VersionRules(KitBase):
    """Create, replace and destroy."""

    def test_a_create_against_an_existing_record_conflicts(self, kit: Kit, handler: Handler, key: str) -> None:
        """``expected=None`` creates and never overwrites."""
        data = record(b"first")
        version = kit.put(handler, key, data)

        with refusing(SessionConflict, "write(expected=None) has to raise SessionConflict when the key exists"):
            handler.write(key, record(b"second"), TTL, expected=None)
        assert handler.read(key) == (data, version), "a create that conflicts must not change the record: no upsert"

    def test_the_current_version_is_replaced(self, kit: Kit, handler: Handler, key: str) -> None:
        """And the version that the write tells is the one that reading tells."""
        first, second = record(b"first"), record(b"second")
        created = kit.put(handler, key, first)
        stored = handler.read(key)
        replaced = kit.put(handler, key, second, expected=created)

        assert stored == (first, created), "write() has to return the version that read() tells, or None"
        assert handler.read(key) == (second, replaced), "the write of the current version has to replace the record"

    def test_every_write_makes_another_version(self, kit: Kit, handler: Handler, key: str) -> None:
        """Also when the bytes behind the mark are the same."""
        versions = [kit.put(handler, key, record(b"same"))]
        versions.extend(kit.put(handler, key, record(b"same"), expected=versions[-1]) for _ in range(5))

        assert len(set(versions)) == len(versions), "every write has to make another version"

    def test_reading_changes_no_version(self, kit: Kit, handler: Handler, key: str) -> None:
        """However often, and by whichever handler."""
        version = kit.put(handler, key, record(b"data"))
        read = [stored and stored.version for stored in (handler.read(key), handler.read(key, TTL), handler.read(key))]

        assert read == [version] * 3, "only a write may change the version"

    def test_a_former_version_is_not_replaced(self, kit: Kit, handler: Handler, key: str) -> None:
        """`SessionConflict`, and what somebody else wrote meanwhile stands: this is what loses no update."""
        data = record(b"second")
        former = kit.put(handler, key, record(b"first"))
        current = kit.put(handler, key, data, expected=former)

        with refusing(SessionConflict, "a write that names a former version has to raise SessionConflict"):
            handler.write(key, record(b"third"), TTL, expected=former)
        assert handler.read(key) == (data, current), "a write that conflicts must not change the record"

    @pytest.mark.parametrize(
        "strange", [b"", b"0", b"never a version of this record"], ids=["empty", "zero", "strange"]
    )
    def test_a_version_that_never_was_is_not_replaced(
        self, kit: Kit, handler: Handler, key: str, strange: bytes
    ) -> None:
        """Not even an empty one: only None means that there is no version."""
        data = record(b"stands")
        version = kit.put(handler, key, data)

        with refusing(SessionConflict, f"write(expected={strange!r}) has to raise SessionConflict: no such version"):
            handler.write(key, record(b"new"), TTL, expected=strange)
        with refusing(SessionConflict, f"destroy(expected={strange!r}) has to raise SessionConflict: no such version"):
            handler.destroy(key, expected=strange)
        with refusing(SessionGone, f"write(expected={strange!r}) has to raise SessionGone when nothing is there"):
            handler.write(kit.key(), record(b"new"), TTL, expected=strange)
        assert handler.read(key) == (data, version), "a write that conflicts must not change the record"

    def test_a_write_after_a_destroy_is_refused(self, kit: Kit, handler: Handler, key: str) -> None:
        """`SessionGone`: a request that was in flight at the logout does not bring the session back."""
        version = kit.put(handler, key, record(b"alive"))
        handler.destroy(key)

        with refusing(SessionGone, "a write that names the version of a destroyed record has to raise SessionGone"):
            handler.write(key, record(b"revived"), TTL, expected=version)
        assert handler.read(key) is None, "what was destroyed must stay destroyed, whoever still writes"

    def test_a_destroyed_record_is_absent(self, kit: Kit, handler: Handler, key: str) -> None:
        """And only the call that removed it says True."""
        kit.put(handler, key, record(b"data"))
        first, second = handler.destroy(key), handler.destroy(key)

        assert handler.read(key) is None, "a destroyed record has to be absent"
        assert first is True, "destroy() has to return True when it removed something"
        assert second is False, "destroy() has to return False when there was nothing to remove"

    def test_destroying_an_unknown_key_is_no_error(self, kit: Kit, handler: Handler) -> None:
        """With and without a version: False."""
        assert handler.destroy(kit.key()) is False, "destroy() of an unknown key has to return False"
        assert handler.destroy(kit.key(), expected=b"version") is False, "and so with a version, which is gone as well"

    def test_only_the_current_version_is_destroyed(self, kit: Kit, handler: Handler, key: str) -> None:
        """`SessionConflict` for another one, and the record stands."""
        data = record(b"second")
        former = kit.put(handler, key, record(b"first"))
        current = kit.put(handler, key, data, expected=former)

        with refusing(SessionConflict, "destroy() with a former version has to raise SessionConflict"):
            handler.destroy(key, expected=former)
        assert handler.read(key) == (data, current), "a destroy that conflicts must not remove the record"
        assert handler.destroy(key, expected=current) is True, "destroy() with the current version has to remove it"
        assert handler.read(key) is None, "a destroyed record has to be absent"

    def test_a_version_does_not_come_back_with_a_new_record(self, kit: Kit, handler: Handler, key: str) -> None:
        """A key that is destroyed and created again has another version, so that a late writer does not hit it."""
        former = kit.put(handler, key, record(b"former life"))
        handler.destroy(key)
        data = record(b"new life")
        current = kit.put(handler, key, data)

        assert former != current, "the version of a destroyed record must not come back with a new one of the same key"
        with refusing(SessionConflict, "a write that names a version of a former life has to raise SessionConflict"):
            handler.write(key, record(b"late"), TTL, expected=former)
        assert handler.read(key) == (data, current), "a write that conflicts must not change the record"

    def test_versions_of_bare_data_are_told_apart(self, kit: Kit, key: str) -> None:
        """Bare data begins with no mark: where the factory sets ``bare``, all of the bytes make the version."""
        handler = kit.make()
        inner = innermost(cast("SessionHandler", getattr(handler, "handler", handler)))
        if not hasattr(inner, "bare"):
            pytest.skip(f"{self.adapter.__qualname__} has no attribute bare: its versions have nothing to do with data")
        inner.bare = True  # as the factory does
        handler.open(kit.save_path, "session")
        try:
            former = kit.put(handler, key, b"the same beginning, and one end")
            current = kit.put(handler, key, b"the same beginning, and another end", expected=former)
            assert former != current, "with bare data every byte counts for the version: see AbstractAdapter.version_of"
            with refusing(SessionConflict, "with bare data too, a former version has to raise SessionConflict"):
                handler.write(key, b"the same beginning, too late", TTL, expected=former)
        finally:
            handler.close()
