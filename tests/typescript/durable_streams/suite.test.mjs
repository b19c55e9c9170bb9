// Runs the protocol's conformance suite against the gateway at GATEWAY_URL, and writes which of its tests were translated.
import { writeFileSync } from "node:fs";
import { runConformanceTests } from "@durable-streams/server-conformance-tests";
import { afterAll } from "vitest";
import { translated } from "./translating.mjs";

runConformanceTests({ baseUrl: process.env.GATEWAY_URL, longPollTimeoutMs: 5000 });

afterAll(() => writeFileSync("translated.json", JSON.stringify([...translated])));
