"""What `import turnwire` loads and exports."""

from __future__ import annotations

import pytest

import turnwire
from tests.support.processes import running_python


def test_importing_turnwire_imports_nothing_heavy() -> None:
    program = "import turnwire, sys; print(*{'aiohttp', 'msgspec', 'asyncio', 'yarl'} & sys.modules.keys())"
    with running_python("-c", program) as process:
        output, errors = process.communicate(timeout=60)
    assert (output.strip(), errors) == ("", "")


def test_a_bot_imports_nothing_of_the_server() -> None:
    server = "{'motor', 'pymongo', 'pydantic', 'uvloop', 'structlog', 'rich', 'typer', 'turnwire.gateway'}"
    program = f"import sys; from turnwire import Publisher, Client, subscribe; print(*{server} & sys.modules.keys())"
    with running_python("-c", program) as process:
        output, errors = process.communicate(timeout=60)
    assert (output.strip(), errors) == ("", "")


@pytest.mark.slow
def test_a_start_imports_the_rest_after_the_embedded_database_and_token_code_only_with_a_key() -> None:
    program = """
import sys
from turnwire.gateway.running import serve
print(*{"structlog", "rich", "aiohttp", "motor", "jwt"} & sys.modules.keys())
from turnwire.gateway.running.app import Gateway
print(*{"jwt", "cryptography"} & sys.modules.keys())
"""
    with running_python("-c", program) as process:
        output, errors = process.communicate(timeout=60)
    assert (output.strip(), errors) == ("", "")


def test_turnwire_exports_exactly_its_public_names() -> None:
    for name in turnwire.__all__:
        assert getattr(turnwire, name) is not None
        assert name in dir(turnwire)
    with pytest.raises(AttributeError, match="has no attribute 'Publischer'"):
        _ = turnwire.Publischer  # type: ignore[attr-defined]
