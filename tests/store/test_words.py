"""The words of a text, which long texts give up in pieces: no step of a piece may hold up other threads."""

from __future__ import annotations

import re
import unicodedata
from random import Random
from typing import Literal

import pytest

from turnwire.store import session_filter
from turnwire.store.session_filter import words_of

_MARKS = re.compile("[\u0300-\u036f\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]+")


def words_at_once(text: str) -> list[str]:
    """Fold the whole text in one piece."""
    return re.findall(r"[^\W_]+", _MARKS.sub("", unicodedata.normalize("NFKD", text.casefold())))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", []),
        (" . ", []),
        ("Zoë O'Neil_x", ["zoe", "o", "neil", "x"]),
        ("Straße", ["strasse"]),
        ("\ufb01n", ["fin"]),
        ("e\u0301te\u0301", ["ete"]),
    ],
)
def test_words_are_without_case_accents_and_punctuation(text: str, words: list[str]) -> None:
    assert words_of(text) == words


def test_folding_a_text_in_pieces_changes_no_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session_filter, "_PIECE_CHARS", 3)
    chance = Random(7)
    for _ in range(300):
        text = "".join(chance.choices("aZé\u0301\u0316\u05b0ß\ufb01한你_ .\n", k=chance.randrange(40)))
        assert words_of(text) == words_at_once(text), text.encode("unicode_escape")


@pytest.mark.parametrize("text", ["é" * 20_000, "a" + "\u0301\u0316" * 10_000, "déjà vu " * 2500])
def test_a_long_text_is_folded_in_pieces(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = list[int]()
    normalize = unicodedata.normalize

    def measured(form: Literal["NFKD"], piece: str) -> str:
        sizes.append(len(piece))
        return normalize(form, piece)

    monkeypatch.setattr(unicodedata, "normalize", measured)
    words_of(text)
    assert max(sizes) <= 1032
    assert sum(sizes) == len(text)
