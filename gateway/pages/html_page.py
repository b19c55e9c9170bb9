"""HTML pages without scripts: their frame, their style, and text with `code` in it."""

from __future__ import annotations

import json
import re
from html import escape
from typing import Any

from aiohttp import hdrs, web

from turnwire.gateway.http.headers import page_headers

STYLE = """
:root { color-scheme: light dark; --back: #fff; --front: #1d232b; --soft: #5b6673; --line: #d9dee5; --box: #f5f7f9;
  --link: #0b62c4; --get: #0b6bcb; --post: #1a7f37; --code: #8a2f6b; }
@media (prefers-color-scheme: dark) {
  :root { --back: #12161b; --front: #e4e8ed; --soft: #9ba7b4; --line: #2e3640; --box: #1a2027; --link: #6cb2ff;
    --get: #6cb2ff; --post: #5fd07a; --code: #ef9fd0; } }
* { box-sizing: border-box; }
html { scroll-behavior: smooth; scroll-padding-top: 1rem; }
@media (prefers-reduced-motion: reduce) { html { scroll-behavior: auto; } }
body { margin: 0; background: var(--back); color: var(--front); font: 16px/1.55 system-ui, sans-serif;
  overflow-wrap: break-word; }
a { color: var(--link); }
a:focus-visible, summary:focus-visible, pre:focus-visible, .scroll:focus-visible { outline: 2px solid var(--link);
  outline-offset: 2px; }
header, main, footer { max-width: 54rem; margin: 0 auto; padding: 0 1.25rem; }
header { padding-top: 2.5rem; }
footer { padding-block: 2rem 3rem; color: var(--soft); }
h1 { margin: 0 0 .5rem; font-size: 2rem; line-height: 1.2; }
h2 { margin: 3rem 0 1rem; font-size: 1.5rem; }
h3 { margin: 0; font-size: 1.1rem; }
h4 { margin: 1.25rem 0 .35rem; font-size: .95rem; }
p { margin: .5rem 0; }
.soft { color: var(--soft); }
code, pre { font: .875em/1.5 ui-monospace, Consolas, monospace; }
code { color: var(--code); overflow-wrap: anywhere; }
pre { margin: .35rem 0 1rem; padding: .75rem 1rem; background: var(--box); border: 1px solid var(--line);
  border-radius: 6px; overflow-x: auto; }
pre code { color: inherit; overflow-wrap: normal; }
nav ul { margin: .25rem 0 .75rem; padding-left: 1.1rem; columns: 2 16rem; }
section { padding-bottom: 1.25rem; margin-bottom: 1.75rem; border-bottom: 1px solid var(--line); }
.route { display: flex; flex-wrap: wrap; align-items: baseline; gap: .25rem .6rem; margin: .35rem 0; }
.method { font: 600 .8rem/1.6 ui-monospace, Consolas, monospace; padding: 0 .5rem; border-radius: 4px;
  border: 1px solid currentColor; }
.method.get { color: var(--get); }
.method.post { color: var(--post); }
.scroll { overflow-x: auto; }
table { width: 100%; border-collapse: collapse; font-size: .925rem; }
th, td { padding: .4rem .75rem .4rem 0; border-top: 1px solid var(--line); text-align: left; vertical-align: top; }
th { border-top: 0; color: var(--soft); font-weight: 500; }
td code { white-space: nowrap; }
details > summary { cursor: pointer; }
@media (max-width: 32rem) { h1 { font-size: 1.6rem; } }
"""

_HEADERS = {**page_headers(STYLE), hdrs.CACHE_CONTROL: "no-cache"}
_CODE = re.compile(r"`([^`]+)`")


def html_answer(page: str) -> web.Response:
    """Answer with a page made by `page_of`, under a policy that allows its style and nothing else."""
    return web.Response(text=page, content_type="text/html", headers=_HEADERS)


def page_of(title: str, header: str, main: str, footer: str) -> str:
    """Return the whole page. `title` is text; the other arguments are HTML."""
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n"
        '<link rel="icon" href="data:,">\n'
        f"<style>{STYLE}</style>\n</head>\n<body>\n"
        f"<header>\n{header}\n</header>\n<main>\n{main}\n</main>\n<footer>\n{footer}\n</footer>\n</body>\n</html>\n"
    )


def inline(text: str) -> str:
    """Return text as HTML, with parts in backticks as code."""
    return _CODE.sub(r"<code>\1</code>", escape(text, quote=False))


def paragraphs(text: str) -> str:
    return "\n".join(f"<p>{inline(part)}</p>" for part in text.strip().split("\n\n"))


def code_block(text: str, label: str) -> str:
    """Return preformatted text that can be scrolled by keyboard. `label` describes it to screen readers."""
    code = escape(text, quote=False)
    return f'<pre tabindex="0" role="region" aria-label="{escape(label)}"><code>{code}</code></pre>'


def json_block(value: Any, label: str) -> str:
    return code_block(json.dumps(value, indent=2, ensure_ascii=False), label)


def table(label: str, head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    """Return a table that scrolls if it is too wide. Cells are HTML; `label` describes the table to screen readers."""
    top = "".join(f'<th scope="col">{cell}</th>' for cell in head)
    body = "\n".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{escape(label)}">'
        f"<table><thead><tr>{top}</tr></thead><tbody>\n{body}\n</tbody></table></div>"
    )
