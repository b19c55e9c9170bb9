// The TypeScript client, as `turnwire conformance` runs it.
import { EventsRejected, Publisher, subscribe } from "../../clients/typescript/src/index.ts";

const [program, url, sessionId, count] = process.argv.slice(2);
if (program === "follow") {
  for await (const event of subscribe(url, sessionId, { untilEnded: true })) console.log(event.seq);
} else {
  const call = await Publisher.open(url, sessionId);
  for (let n = 1; n <= Number(count); n++) await call.send("user_speech", { n }, { eventId: `e${n}` });
  try {
    await call.complete();
  } catch (error) {
    if (!(error instanceof EventsRejected)) throw error;
  } finally {
    await call.close();
  }
}
