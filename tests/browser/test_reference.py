"""The API reference at `/docs`: everything in the document, and requests that are tried out."""

from __future__ import annotations

from playwright.async_api import expect

from tests.browser.conftest import NARROW, OpenPage
from tests.browser.test_acting import token_for
from tests.support.gateways import Gateway
from tests.support.prefix_proxy import prefix_proxy
from turnwire.gateway.openapi.document import document
from turnwire.protocol.messages import Limits

METHODS = ("get", "head", "post", "put", "patch", "delete")


async def test_the_reference_has_every_operation_and_sends_requests_below_a_prefix(
    gateway: Gateway, open_page: OpenPage
) -> None:
    await gateway.create("call-0001", metadata={"bot": "Ada"})
    token = token_for("session:read session:list")
    async with prefix_proxy("/voice", gateway.port) as url:
        page = await open_page(f"{url}/#token={token}")  # the dashboard's token is the reference's, too
        await page.get_by_role("link", name="API", exact=True).click()
        operations = sum(method in item for item in document(Limits())["paths"].values() for method in METHODS)
        await expect(page.locator(".opblock")).to_have_count(operations)
        await page.locator("#operations-Sessions-readSession .opblock-summary-control").click()
        await page.get_by_role("textbox", name="sessionId").first.fill("call-0001")
        async with page.expect_request("**/voice/sessions/call-0001*") as asked:
            await page.get_by_role("button", name="Execute").click()
        assert (await asked.value).headers["authorization"] == f"Bearer {token}"
        await expect(page.locator(".live-responses-table .response-col_status").last).to_contain_text("200")
        await expect(page.locator(".live-responses-table")).to_contain_text('"bot": "Ada"')
        await page.get_by_role("link", name="Dashboard").click()
        await expect(page.locator(".call-row")).to_contain_text("Ada")
        await page.close()  # before the proxy, which would miss it otherwise


async def test_the_reference_fits_a_phone_and_loads_nothing_from_elsewhere(
    gateway: Gateway, open_page: OpenPage
) -> None:
    page = await open_page(f"{gateway.url}/docs", size=NARROW, scheme="dark")
    await expect(page.locator(".opblock").first).to_be_visible()
    await page.locator("#operations-Sessions-listSessions .opblock-summary-control").click()
    await expect(page.get_by_role("button", name="Execute")).to_be_visible()
    assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
