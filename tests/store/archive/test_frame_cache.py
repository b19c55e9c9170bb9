"""What was read from the archive is held for a while, and no more than fits."""

from __future__ import annotations

from turnwire.store.archive.frame_cache import FrameCache


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_cached_value_is_held_for_its_time() -> None:
    clock = Clock()
    cache: FrameCache[str] = FrameCache(10_000, 60, clock)
    cache.put("a", "A", 100)
    clock.now = 59
    assert cache.get("a") == "A"
    clock.now = 60
    assert cache.get("a") is None
    assert cache.bytes == 0


def test_the_cache_holds_no_more_than_fits_and_drops_the_least_recently_used_first() -> None:
    cache: FrameCache[str] = FrameCache(2_500, 60, Clock())
    for key in ("a", "b"):
        cache.put(key, key.upper(), 1_000)
    assert cache.get("a") == "A"
    cache.put("c", "C", 1_000)
    assert [cache.get(key) for key in ("a", "b", "c")] == ["A", None, "C"]
    cache.put("d", "D", 5_000)
    assert cache.get("d") is None
    assert cache.bytes <= 2_500


def test_a_value_put_again_counts_once_and_a_forgotten_value_not_at_all() -> None:
    cache: FrameCache[str] = FrameCache(2_500, 60, Clock())
    cache.put("a", "A", 1_000)
    cache.put("a", "B", 1_000)
    assert (cache.get("a"), cache.bytes) == ("B", 1_128)
    cache.forget(lambda key: key == "a")
    assert (cache.get("a"), cache.bytes) == (None, 0)


def test_the_cache_holds_nothing_without_room_or_time() -> None:
    for cache in (FrameCache[str](0, 60, Clock()), FrameCache[str](2_500, 0, Clock())):
        cache.put("a", "A", 10)
        assert cache.get("a") is None
