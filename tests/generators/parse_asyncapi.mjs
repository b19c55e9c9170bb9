// Reads an AsyncAPI document with the parser of AsyncAPI itself. Prints what is wrong with it, and fails then.
import { readFileSync } from "node:fs";
import { Parser } from "@asyncapi/parser";

const { document, diagnostics } = await new Parser().parse(readFileSync(process.argv[2], "utf8"));
for (const { code, message, path } of diagnostics) console.log(`${code} at /${path.join("/")}: ${message}`);
if (!document || diagnostics.some(({ severity }) => severity < 2)) process.exit(1);
console.log(`AsyncAPI ${document.version()}: ${document.messages().length} messages`);
