"""Key sets: which keys of a set are used, and how a set at a URL is cached."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from jwt.algorithms import RSAAlgorithm

from tests.support.credentials import Clock, key_set, public_jwk, rsa_key
from turnwire.gateway.access.credentials.fetching import MAX_BYTES, fetch
from turnwire.gateway.access.credentials.jwks import JwksError, KeySetFile, KeySetUrl, read_key_set

URL = "https://idp.example/keys"


class Idp:
    """What answers at a URL."""

    def __init__(self, *jwks: dict[str, Any]) -> None:
        self.answer: bytes | OSError = key_set(*jwks)
        self.asked = 0
        self.may_answer = asyncio.Event()
        self.may_answer.set()

    async def fetch(self, url: str) -> bytes:
        assert url == URL
        self.asked += 1
        await self.may_answer.wait()
        if isinstance(self.answer, OSError):
            raise self.answer
        return self.answer


def test_a_jwk_has_the_one_algorithm_of_its_kind() -> None:
    keys = read_key_set(key_set(*(public_jwk(each) for each in ("RS256", "ES256", "EdDSA"))))
    assert {kid: key.algorithm_name for kid, key in keys.items()} == {kid: kid for kid in ("RS256", "ES256", "EdDSA")}


@pytest.mark.parametrize(
    "unfit",
    [
        {"kty": "oct", "k": "c2VjcmV0LW9mLWEtc3ltbWV0cmljLWtleS0zMi1ieXRlcw", "kid": "x"},
        public_jwk("ES256", use="enc"),
        public_jwk("ES256", key_ops=["sign"]),
        public_jwk("ES256", key_ops="verify"),
        public_jwk("RS256", alg="RS512"),
        public_jwk("RS256", alg="HS256"),
        public_jwk("RS256", alg="none"),
        public_jwk("ES256", crv="P-384"),
        public_jwk("ES256", crv=["P-256"]),
        public_jwk("ES256", kid=7),
        public_jwk("ES256", x="AAAA"),
        public_jwk("ES256", x=None),
        public_jwk("ES256", kty=["EC"]),
        {"kty": "EC"},
        RSAAlgorithm.to_jwk(rsa_key(1024).public_key(), as_dict=True),
        RSAAlgorithm.to_jwk(rsa_key(), as_dict=True),
        "key",
        None,
    ],
)
def test_unfit_keys_of_a_key_set_are_ignored(unfit: Any) -> None:
    assert set(read_key_set(key_set(unfit, public_jwk("EdDSA")))) == {"EdDSA"}
    with pytest.raises(JwksError, match="no key for"):
        read_key_set(key_set(unfit))


def test_of_two_jwks_with_the_same_kid_the_first_counts() -> None:
    keys = read_key_set(key_set(public_jwk("ES256", kid="k"), public_jwk("RS256", kid="k")))
    assert keys["k"].algorithm_name == "ES256"


@pytest.mark.parametrize("text", [b"", b"[]", b"{", b"\xff", b'{"keys": 1}', b"{}", b"[" * 2000, b"<html>"])
def test_a_document_that_is_not_a_key_set_is_refused(text: bytes) -> None:
    with pytest.raises(JwksError):
        read_key_set(text)


async def test_a_key_set_file_is_read_again_on_change_and_the_old_set_kept_when_it_turns_bad(tmp_path: Path) -> None:
    path = tmp_path / "jwks.json"
    path.write_bytes(key_set(public_jwk("ES256")))
    source = KeySetFile(path)
    await source.refresh()
    assert source.generation == 0
    path.write_bytes(key_set(public_jwk("RS256"), public_jwk("EdDSA")))
    await source.refresh()
    assert source.generation == 1
    assert await source.find("ES256") is None
    assert await source.find("RS256") is not None
    path.write_bytes(b"nonsense")
    await source.refresh()
    assert source.generation == 1
    assert await source.find("RS256") is not None


def test_a_file_that_is_not_a_key_set_is_refused_at_the_start(tmp_path: Path) -> None:
    for content in (b"nonsense", b"x" * (MAX_BYTES + 1)):
        (tmp_path / "jwks").write_bytes(content)
        with pytest.raises(JwksError, match="jwks"):
            KeySetFile(tmp_path / "jwks")
    with pytest.raises(JwksError, match="cannot be read"):
        KeySetFile(tmp_path / "none")


async def test_a_key_set_is_fetched_once_and_again_after_ten_minutes() -> None:
    idp, clock = Idp(public_jwk("ES256")), Clock()
    source = KeySetUrl(URL, idp.fetch, clock)
    assert await source.find("ES256") is not None
    clock.now += 599
    await source.refresh()
    assert (idp.asked, source.generation) == (1, 1)
    clock.now += 1
    await source.refresh()
    assert source.generation == 2
    assert await source.find("ES256") is not None
    assert idp.asked == 2


async def test_an_unknown_kid_fetches_the_key_set_at_most_once_a_minute() -> None:
    idp, clock = Idp(public_jwk("ES256")), Clock()
    source = KeySetUrl(URL, idp.fetch, clock)
    await source.find("ES256")
    for _ in range(3):
        assert await source.find("new") is None
    assert idp.asked == 1
    idp.answer = key_set(public_jwk("ES256"), public_jwk("RS256", kid="new"))
    clock.now += 60
    assert await source.find("new") is not None
    assert idp.asked == 2
    for _ in range(3):
        assert await source.find("other") is None
    assert idp.asked == 2


async def test_everyone_waiting_for_a_key_set_shares_one_request_even_if_the_first_leaves() -> None:
    idp = Idp(public_jwk("ES256"))
    idp.may_answer.clear()
    source = KeySetUrl(URL, idp.fetch, Clock())
    waiting = [asyncio.create_task(source.find("ES256")) for _ in range(3)]
    while not idp.asked:
        await asyncio.sleep(0)
    waiting[0].cancel()
    idp.may_answer.set()
    found = await asyncio.gather(*waiting, return_exceptions=True)
    assert isinstance(found[0], asyncio.CancelledError)
    assert found[1] is found[2] is not None
    assert idp.asked == 1


async def test_the_last_good_key_set_is_kept_for_a_day() -> None:
    idp, clock = Idp(public_jwk("ES256")), Clock()
    source = KeySetUrl(URL, idp.fetch, clock)
    await source.find("ES256")
    idp.answer = OSError("no route")
    for _ in range(24 * 6):
        clock.now += 600
        await source.refresh()
        assert await source.find("ES256") is not None
    clock.now += 1
    with pytest.raises(JwksError, match="could not be fetched"):
        await source.find("ES256")
    idp.answer = key_set(public_jwk("ES256"))
    clock.now += 60
    assert await source.find("ES256") is not None


async def test_nonsense_at_the_url_does_not_replace_the_key_set() -> None:
    idp, clock = Idp(public_jwk("ES256")), Clock()
    source = KeySetUrl(URL, idp.fetch, clock)
    await source.find("ES256")
    idp.answer = b"<html>"
    clock.now += 600
    await source.refresh()
    assert source.generation == 1
    assert await source.find("ES256") is not None


async def test_without_any_key_set_no_token_can_be_judged() -> None:
    idp = Idp()
    idp.answer = OSError("no route")
    with pytest.raises(JwksError):
        await KeySetUrl(URL, idp.fetch, Clock()).find("ES256")


async def test_while_there_is_no_key_set_it_is_asked_for_every_five_seconds() -> None:
    idp, clock = Idp(public_jwk("ES256")), Clock()
    good, idp.answer = idp.answer, OSError("no route")
    source = KeySetUrl(URL, idp.fetch, clock)
    await source.refresh()
    clock.now += 4
    await source.refresh()
    assert idp.asked == 1
    idp.answer = good
    clock.now += 1
    assert await source.find("ES256") is not None
    clock.now += 5
    assert await source.find("new") is None
    assert idp.asked == 2


# The real client


@pytest.fixture
async def idp_url() -> Any:
    """A server with /keys, /away (a redirect to it), /big, /missing."""

    async def keys(request: web.Request) -> web.Response:
        return web.Response(body=key_set(public_jwk("ES256")))

    async def away(request: web.Request) -> web.Response:
        raise web.HTTPFound("/keys")

    async def big(request: web.Request) -> web.Response:
        response = web.Response(body=b" " * (MAX_BYTES + 1))
        response.enable_compression(web.ContentCoding.gzip)
        return response

    app = web.Application()
    app.router.add_get("/keys", keys)
    app.router.add_get("/away", away)
    app.router.add_get("/big", big)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


async def test_a_key_set_is_fetched_from_a_url(idp_url: str) -> None:
    assert json.loads(await fetch(f"{idp_url}/keys"))["keys"][0]["kid"] == "ES256"


async def test_a_url_whose_host_no_name_server_can_know_is_an_error_like_any_other() -> None:
    with pytest.raises(OSError, match="Unicode"):
        await fetch("https://idp..example/keys")


@pytest.mark.parametrize(("path", "said"), [("/away", "302"), ("/missing", "404"), ("/big", "more than 65536 bytes")])
async def test_redirects_errors_and_long_answers_at_the_url_are_refused(idp_url: str, path: str, said: str) -> None:
    with pytest.raises(OSError, match=said):
        await fetch(idp_url + path)


async def test_a_url_where_nothing_listens_is_an_error_like_any_other(unused_tcp_port: int) -> None:
    with pytest.raises(OSError, match="ClientConnector"):
        await fetch(f"http://127.0.0.1:{unused_tcp_port}/keys")
