"""The REST calls of the TypeScript client, its tokens, and supervisors' commands."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.credentials import make_key, write_keys, write_secret
from tests.support.gateways import Gateway, StartGateway
from tests.typescript.node import Node, NodeError


async def test_a_call_can_be_written_read_and_ended_by_rest(gateway: Gateway, node: Node) -> None:
    code = """
        const client = new Client(url);
        await client.check();
        const created = await client.create('a/b', 'de', { metadata: { bot: 'b1' } });
        const event = (n) => ({ eventId: `e${n}`, type: 'user_speech', payload: { text: `line\\u2028${n}` } });
        const events = [1, 2, 3].map(event);
        const stored = await client.append('a/b', events);
        const again = await client.append('a/b', events[0]);
        const page = await client.events('a/b', { afterSeq: 1, limit: 1 });
        const history = await client.history('a/b', { offset: 0, limit: 2, order: 'desc' });
        const exported = [];
        for await (const event of client.export('a/b', { afterSeq: 1 })) exported.push(event.payload.text);
        const patched = await client.patch('a/b', { metadata: { score: 5 } });
        const ended = await client.complete('a/b', { reason: 'hangup' });
        const figures = await client.stats('a/b');
        const listed = [];
        const filter = { metadata: { bot: 'b1' }, status: 'completed' };
        for await (const session of client.list(filter)) listed.push(session.sessionId);
        return {
          created: [created.sessionId, created.language],
          stored: stored.map((event) => event.seq),
          again: again[0].seq,
          page: page.events.map((event) => event.seq),
          history: [history.events.map((event) => event.seq), history.pagination.hasMore],
          exported,
          patched: patched.metadata,
          ended: [ended.status, ended.endReason],
          turns: figures.turns.total ?? figures.turns,
          listed,
        };
    """
    result = await node.run(code, url=gateway.url)
    assert result.pop("turns")
    assert result == {
        "created": ["a/b", "de"],
        "stored": [1, 2, 3],
        "again": 1,
        "page": [2],
        "history": [[3, 2], True],
        "exported": ["line\u20282", "line\u20283"],
        "patched": {"bot": "b1", "score": 5},
        "ended": ["completed", "hangup"],
        "listed": ["a/b"],
    }


async def test_lists_continue_over_pages_and_stop_at_their_limit(gateway: Gateway, node: Node) -> None:
    for n in range(103):
        await gateway.create(f"call-{n}")
    code = """
        const client = new Client(url);
        const count = async (options) => { let n = 0; for await (const _ of client.list(options)) n += 1; return n; };
        const sums = await client.callStats({ startedAfter: new Date(Date.now() - 3600e3).toISOString() });
        return [await count(), await count({ limit: 102 }), await count({ limit: 5 }), sums.total.calls];
    """
    assert await node.run(code, url=gateway.url) == [103, 102, 5, 103]


async def test_an_erased_session_is_gone(gateway: Gateway, node: Node) -> None:
    await gateway.create("call")
    code = "client = new Client(url); await client.delete('call', { force: true }); await client.delete('call');"
    await node.run(code, url=gateway.url)
    with pytest.raises(NodeError, match="SessionNotFound: Session call not found"):
        await node.run("await client.get('call');")


async def test_a_refused_request_tells_its_reason_and_a_gateway_that_is_away_too(gateway: Gateway, node: Node) -> None:
    with pytest.raises(NodeError, match=r"Refused: .*limit"):
        await node.run("await new Client(url).events('call', { limit: 1000 });", url=gateway.url)
    with pytest.raises(NodeError, match="Unreachable: cannot reach http://127"):
        await node.run("await new Client('http://127.0.0.1:1').check();")


async def test_a_command_is_carried_out_once_and_its_outcome_is_told(gateway: Gateway, node: Node) -> None:
    code = """
        const said = [];
        const call = await Publisher.open(url, 'call');
        const client = new Client(url);
        call.onCommand(async ({ command, payload }) => {
          said.push(`${command} ${payload.text}`);
          if (payload.text === 'no') throw new CommandRefused('not now');
          if (payload.text === 'x') throw new Error('no voice');
          return 'said';
        }, 'say');
        const states = {};
        for (const text of ['hello', 'no', 'x']) {
          const ask = () => client.command('call', 'say', { text }, { commandId: text }).catch(() => ({}));
          let answer = {};
          while (!['done', 'refused', 'failed'].includes(answer.state)) answer = await ask();
          states[text] = [answer.state, answer.message];
        }
        await call.close();
        return { said, states };
    """
    result = await node.run(code, url=gateway.url)
    assert result["said"] == ["say hello", "say no", "say x"]
    assert result["states"] == {
        "hello": ["done", "said"],
        "no": ["refused", "not now"],
        "x": ["failed", "Error: no voice"],
    }


async def test_the_gateway_gets_another_token_before_that_of_a_connection_expires(
    start_gateway: StartGateway, node: Node, tmp_path: Path
) -> None:
    key, line = make_key("backend", "session:create session:publish session:read session:complete token:mint")
    files = {"api_keys_file": write_keys(tmp_path / "keys", line), "jwt_secret_file": write_secret(tmp_path / "secret")}
    gateway = await start_gateway(**files)
    code = """
        const backend = new Client(url, { token: key });
        const scope = 'session:create session:publish session:read session:complete';
        let minted = 0;
        const token = async () => {
          minted += 1;
          return (await backend.mintToken('alice', { scope, sessions: ['call'], ttl: 6 })).token;
        };
        const call = await Publisher.open(url, 'call', { token });
        const seen = [];
        const following = subscribe(url, 'call', { token, untilEnded: true });
        (async () => { for await (const { seq } of following) seen.push(seq); })();
        const types = () => frames.map(([, , , text]) => JSON.parse(text).type);
        await until(() => types().filter((type) => type === 'authenticated').length === 2);
        const ended = await call.complete();
        await call.close();
        return { opened: types().filter((type) => type === 'opened').length, minted, status: ended.status };
    """
    result = await node.run(code, url=gateway.url, key=key)
    assert result["opened"] == 1
    assert result["minted"] == 4  # one for each connection, and another one for each
    assert result["status"] == "completed"


async def test_a_credential_that_is_not_accepted_is_an_error_in_the_gateways_words(
    start_gateway: StartGateway, node: Node, tmp_path: Path
) -> None:
    key, line = make_key("reader", "session:read")
    gateway = await start_gateway(api_keys_file=write_keys(tmp_path / "keys", line))
    for call in (
        "Publisher.open(url, 'call')",
        "Publisher.open(url, 'call', { token: 'unknown' })",
        "Publisher.open(url, 'call', { token: key })",
        "subscribe(url, 'call')[Symbol.asyncIterator]().next()",
        "followSessions(url, { token: key })[Symbol.asyncIterator]().next()",
        "new Client(url).get('call')",
    ):
        with pytest.raises(NodeError, match="NotAllowed: "):
            await node.run(f"await {call};", url=gateway.url, key=key)


async def test_a_token_function_that_fails_is_called_again(gateway: Gateway, node: Node) -> None:
    code = """
        let asked = 0;
        const token = () => { asked += 1; if (asked < 3) throw new Error('no network'); return 'token'; };
        const call = await Publisher.open(url, 'call', { token });
        await call.close();
        return [asked, logged[0]];
    """
    asked, warning = await node.run(code, url=gateway.url)
    assert asked == 3
    assert "the token function failed: Error: no network" in warning
    with pytest.raises(NodeError, match="TokenError"):
        await node.run("await new Client(url, { token: () => { throw new Error('no'); } }).check();")


async def test_arguments_that_cannot_work_are_refused_at_once(node: Node) -> None:
    for call in (
        "Publisher.start('ftp://127.0.0.1', 'call')",
        "Publisher.start('http://127.0.0.1?x=1', 'call')",
        "Publisher.start('http://127.0.0.1:1', '')",
        "Publisher.start('http://127.0.0.1:1', 'call', { language: null, metadata: {} })",
        "new Client('http://127.0.0.1:1', { token: 'two words' })",
    ):
        with pytest.raises(NodeError, match="TypeError: "):
            await node.run(f"{call};")
