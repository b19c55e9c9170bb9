"""Searches for bytes that break a codec, guided by what of `turnwire.protocol` they run: `make fuzz`.

    python -m tests.fuzz.decoders json --seconds 600

Exits with 0 when all that was tried was decoded or refused as it must be. What breaks it is kept beside the corpus in
`.fuzz/`, and makes a test in `tests/protocol` or `tests/property`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import atheris

with atheris.instrument_imports(include=["turnwire.protocol"]):
    from turnwire.protocol.codec import JSON, MSGPACK, Codec

from tests.property.test_hostile_frames import LIMITS, TIGHT, read_everything
from tests.support.processes import ROOT

CODECS: Final = {"json": JSON, "msgpack": MSGPACK}
FOLDER: Final = ROOT / ".fuzz"
GOLDEN: Final = ROOT / "tests" / "protocol" / "golden"
MAX_BYTES: Final = 4096
HANGING_SECONDS: Final = 10
WORDS: Final = (
    *("type", "append", "events", "eventId", "payload", "timestamp", "user_speech", "bot_speech", "system"),
    *("signal", "key", "complete", "status", "completed", "failed", "reason", "ping", "ref", "accept", "commands"),
    *("commandResult", "commandId", "state", "done", "message", "auth", "token", "subscribe", "sessionId", "afterSeq"),
    *("feed", "sessions", "summaries", "unsubscribe", "command", "$ref", "$id", "2025-12-21T10:30:00.1239999+14:00"),
)


def seeds(name: str) -> Iterator[bytes]:
    """Messages to begin with: each of the protocol, as it must be."""
    for path in sorted(GOLDEN.glob("*.json" if name == "json" else "*.msgpack.hex")):
        text = path.read_text(encoding="utf-8")
        hexes = (line.partition(" |")[0] for line in text.splitlines())
        yield text.encode() if name == "json" else bytes.fromhex("".join(hexes))


def prepare(name: str) -> tuple[Path, Path]:
    """The corpus, and the file of words that are worth trying."""
    corpus = FOLDER / name
    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(seeds(name)):
        (corpus / f"golden-{number}").write_bytes(seed)
    words = FOLDER / "words"
    words.write_text("".join(f'"{word}"\n' for word in WORDS), encoding="utf-8")
    return corpus, words


def search(codec: Codec, corpus: Path, words: Path, seconds: int) -> None:
    """Try until the time is over; ends the process."""

    def try_one(data: bytes) -> None:
        read_everything(codec, data, LIMITS)
        read_everything(codec, data, TIGHT)

    options = [
        f"-max_total_time={seconds}",
        f"-max_len={MAX_BYTES}",
        f"-timeout={HANGING_SECONDS}",
        f"-artifact_prefix={corpus}-",
        f"-dict={words}",
        "-print_final_stats=1",
        "-verbosity=0",
    ]
    atheris.Setup([sys.argv[0], *options, str(corpus)], try_one)
    atheris.Fuzz()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("codec", choices=CODECS)
    parser.add_argument("--seconds", type=int, default=600)
    asked = parser.parse_args()
    corpus, words = prepare(asked.codec)
    search(CODECS[asked.codec], corpus, words, asked.seconds)


if __name__ == "__main__":
    main()
