// Writes a call to STREAM_URL with the protocol's own client, and follows it in both ways. Prints what it has read.
import { DurableStream, IdempotentProducer, stream } from "@durable-streams/client";

const url = process.env.STREAM_URL;

async function follow(live) {
  const items = [];
  const reading = await stream({ url, offset: "-1", live });
  for await (const item of reading.jsonStream()) items.push(item);
  return items;
}

const headers = { "Content-Language": "de" };
const created = await DurableStream.create({ url, contentType: "application/json", headers });
const following = [follow("sse"), follow("long-poll")];
const failures = [];
const producer = new IdempotentProducer(created, "bot", {
  lingerMs: 1,
  onError: (error) => failures.push(String(error)),
});
for (let n = 1; n <= 50; n++) {
  producer.append(JSON.stringify({ type: n % 2 ? "user_speech" : "bot_speech", payload: { text: `line ${n}` } }));
  if (n % 10 === 0) await new Promise((resolve) => setTimeout(resolve, 5));
}
await producer.close();
const [sse, longPoll] = await Promise.all(following);
console.log(JSON.stringify({ failures, sse, longPoll, caughtUp: await follow(false) }));
