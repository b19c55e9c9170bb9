import type { ErrorCode } from "../protocol.ts";

/** Return the text and the code of an error answer. An answer that is not a gateway's has no code. */
export async function said(response: Response): Promise<{ text: string; code: ErrorCode | undefined }> {
  try {
    const { message, code } = await response.json();
    return { text: [message].flat().join("; "), code };
  } catch {
    return { text: `HTTP ${response.status} ${response.statusText}`, code: undefined };
  }
}

/** Return the milliseconds of a `Retry-After` header; undefined without one, or if it is a date. */
export function retryAfter(response: Response): number | undefined {
  const text = response.headers.get("Retry-After") ?? "";
  return /^\d+$/.test(text) ? Number(text) * 1000 : undefined;
}
