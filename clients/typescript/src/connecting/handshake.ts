// Why a handshake failed. A WebSocket does not say why: it closes with 1006, as if the network had failed.

import { Lost, type Refused, refusal, textOf } from "../errors.ts";
import type { ErrorCode } from "../protocol.ts";
import { retryAfter, said } from "./answers.ts";
import type { Environment } from "./environment.ts";
import { bearer } from "./tokens.ts";

const TIMEOUT = 5000;
const CODES: { [status: number]: ErrorCode } = { 401: "unauthenticated", 403: "forbidden", 404: "not_found" };

/**
 * Ask the same address by a plain request. A gateway refuses it for the reason for which it refused the handshake, or else
 * because it is not a handshake. `url` is an http URL.
 */
export async function whyRefused(
  environment: Environment,
  url: string,
  token: string | undefined,
): Promise<Lost | Refused> {
  const { origin } = new URL(url);
  let response: Response;
  try {
    response = await environment.fetch(url, { headers: bearer(token), signal: AbortSignal.timeout(TIMEOUT) });
  } catch (error) {
    return new Lost(`cannot connect to ${origin}: ${textOf(error)}`);
  }
  const { status } = response;
  const { text, code } = await said(response);
  if (CODES[status]) {
    return refusal(`${origin} refused the connection (HTTP ${status}): ${text}`, {
      code: code ?? CODES[status],
      status,
    });
  }
  const asked = retryAfter(response);
  return new Lost(`${origin} did not open a connection (HTTP ${status}): ${text}`, asked, false);
}
