"""What the guide says of memcached beside its options, which test_docs_options.py looks at."""

from sessionbag_memcached import Memcached


def test_the_page_tells_the_truth_about_eviction_and_lists():
    """What the core looks at."""
    assert Memcached.evicts is True
    assert not hasattr(Memcached, "scan")
