// One call, written with openapi-fetch and the types that openapi-typescript makes. tsc checks it against them.
import createClient from "openapi-fetch";
import type { components, paths } from "./turnwire.js";

type EventIn = components["schemas"]["EventIn"];

/** Carries out a call; returns when it ended. */
export async function call(url: string): Promise<string | null | undefined> {
  // A stream of events is text. This client reads JSON only.
  const client = createClient<paths, "application/json">({ baseUrl: url });
  const created = await client.POST("/sessions", {
    body: { language: "en", metadata: { caller: "+4930123456", tags: ["a", { b: null }] } },
  });
  if (created.error) throw new Error(created.error.code);
  const params = { path: { sessionId: created.data.sessionId } };
  const said: EventIn = { eventId: "e1", type: "user_speech", payload: { text: "Hello!", turn: { at: [0.5, null] } } };
  const noted: EventIn = { eventId: "e2", type: "system", payload: {}, timestamp: "2099-12-21T10:30:00Z" };
  await client.POST("/sessions/{sessionId}/events", { params, body: said });
  await client.POST("/sessions/{sessionId}/events", { params, body: { events: [said, noted] } });
  const page = await client.GET("/sessions/{sessionId}/events", { params: { ...params, query: { afterSeq: 1 } } });
  const seq: number | undefined = page.data?.events[0]?.seq;
  const history = await client.GET("/sessions/{sessionId}", { params });
  const text: unknown = history.data?.events[0]?.payload.text;
  const listed = await client.GET("/sessions", { params: { query: { status: "active", limit: 5 } } });
  const status: "initiated" | "active" | "completed" | "failed" | undefined = listed.data?.sessions[0]?.status;
  if (text !== "Hello!" || seq !== 2 || status !== "active") throw new Error("not what was sent");
  const ended = await client.POST("/sessions/{sessionId}/complete", { params, body: { reason: "hangup" } });
  return ended.data?.endedAt;
}
