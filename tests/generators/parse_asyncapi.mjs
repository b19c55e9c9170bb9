// Reads an AsyncAPI document with AsyncAPI's own parser. If anything is wrong with it, prints that and fails.
import { readFileSync } from "node:fs";
import { Parser } from "@asyncapi/parser";

const { document, diagnostics } = await new Parser().parse(readFileSync(process.argv[2], "utf8"));
for (const { code, message, path } of diagnostics) console.log(`${code} at /${path.join("/")}: ${message}`);
if (!document || diagnostics.some(({ severity }) => severity < 2)) process.exit(1);
console.log(`AsyncAPI ${document.version()}: ${document.messages().length} messages`);
