import { isLive, makeRow, oldestFirst, summaryOf, updateRow } from "./calls.js";
import { Observable } from "./observable.js";
import { askFigures, askJson, RestError, sessionPath } from "./rest.js";

const PAGE = 100;
const MOST_PAGES = 12;
const MOST_FRESH = 500;
const PAGES_TO_CATCH_UP = 5;
const PAUSE_AFTER_FAILURE_MS = 2000;

/**
 * A window onto the gateway's list of calls, in the order of the filter: consecutive pages, down to the very last call.
 * Only pages around the place last looked at are in memory; the others keep only their `count`.
 *
 * `last` of a page is its last row. `fresh` has the calls that come before all of the first page and have ended since.
 */
export class PastCalls extends Observable {
  #generation = 0;
  #busy = false;
  /** Whether the next page was wanted while another request was under way. */
  #wantsNext = false;
  #retryAt = 0;
  /** Whether calls may have ended that will be missing from the first page, which is still being read. */
  #stale = false;
  #wanted = new Set();
  #looking = false;
  #first = null;

  constructor() {
    super(100);
    /** `[{cursor, rows, count, last}]`; `rows` is null while the page is not in memory. */
    this.pages = [];
    this.fresh = new Map();
    this.filter = null;
    this.next = null;
    this.atEnd = false;
    this.loaded = false;
    this.failure = null;
    /** Whether there are newer calls that are not in `fresh`. */
    this.newerLeft = false;
    this.count = null;
  }

  /** Start again with the first calls in the order of the filter. `filter`: see filter.js; null shows no calls. */
  show(filter) {
    this.#generation += 1;
    this.#busy = false;
    this.#wantsNext = false;
    this.#stale = false;
    this.filter = filter;
    this.pages = [];
    this.fresh.clear();
    this.next = null;
    this.#first = null;
    this.atEnd = filter === null;
    this.loaded = filter === null;
    this.newerLeft = false;
    this.failure = null;
    this.count = null;
    if (filter !== null) this.loadNext();
    this.changed();
  }

  /** Read the page after the last one. During another request, note that the page is wanted, and read it afterwards. */
  async loadNext() {
    if (this.filter === null || this.atEnd) return;
    if (this.#busy) {
      this.#wantsNext = true;
      return;
    }
    await this.#load(async () => {
      const cursor = this.next;
      const answer = await this.#read(cursor);
      return () => {
        if (cursor === null) this.#first = answer.sessions[0] ?? null;
        if (answer.count) this.count = answer.count;
        const rows = answer.sessions.map((session) => this.#row(session));
        this.pages.push({ cursor, rows, count: 0, last: rows.at(-1) ?? null });
        this.#goOnFrom(answer.nextCursor);
        this.loaded = true;
        this.#wantsNext = false;
        this.#forget(this.pages.length - 1);
      };
    });
  }

  /** Read a page again that is no longer in memory. After a failure, do nothing until a pause is over. */
  async reload(index) {
    const page = this.pages[index];
    if (this.#busy || !page || page.rows !== null || performance.now() < this.#retryAt) return;
    await this.#load(async () => {
      const answer = await this.#read(page.cursor);
      return () => {
        page.rows = answer.sessions.map((session) => this.#row(session));
        page.last = page.rows.at(-1) ?? page.last;
        if (index === this.pages.length - 1) this.#goOnFrom(answer.nextCursor);
        this.#forget(index);
      };
    });
  }

  #goOnFrom(cursor) {
    this.next = cursor;
    this.atEnd = cursor === null;
  }

  async #load(read) {
    const generation = this.#generation;
    this.#busy = true;
    try {
      const apply = await read();
      if (generation !== this.#generation) return;
      apply();
      this.failure = null;
    } catch (error) {
      if (generation !== this.#generation) return;
      this.failure = error.message;
      this.#retryAt = performance.now() + PAUSE_AFTER_FAILURE_MS;
    }
    this.#busy = false;
    this.changed();
    if (this.#wantsNext) {
      this.#wantsNext = false;
      this.loadNext();
    } else if (this.#stale && this.loaded) this.catchUp();
  }

  #read(cursor) {
    const query = new URLSearchParams({ ...this.filter.query, limit: PAGE });
    if (cursor !== null) {
      query.set("cursor", cursor);
      query.delete("countUpTo"); // counted with the first page
    }
    return askJson(`sessions?${query}`);
  }

  #row(session) {
    return this.fresh.get(session.sessionId) ?? makeRow(session);
  }

  #forget(around) {
    const held = this.pages.flatMap((page, index) => (page.rows === null ? [] : [index]));
    held.sort((a, b) => Math.abs(b - around) - Math.abs(a - around));
    for (const index of held.slice(0, Math.max(0, held.length - MOST_PAGES))) {
      const page = this.pages[index];
      page.count = page.rows.filter((row) => !isLive(row)).length;
      page.rows = null;
    }
  }

  // Calls that end meanwhile

  /** Add a call that has ended. */
  add(row) {
    if (this.filter === null) return;
    if (!this.loaded) {
      this.#stale = true;
      return;
    }
    const known = this.#find(row.session.sessionId);
    if (known) updateRow(known, row.session, row.summary);
    else if (!this.filter.knows) this.newerLeft = true;
    else if (this.filter.matches(row)) this.#join(row);
    this.changed();
  }

  #join(row) {
    if (this.count) this.count = { ...this.count, value: this.count.value + 1 };
    if (!this.#isBefore(row)) this.#insert(row);
    else if (this.fresh.size < MOST_FRESH) this.fresh.set(row.session.sessionId, row);
    else this.newerLeft = true;
  }

  /** Insert a row into its page, if that is in memory. If not, the row comes with the page. */
  #insert(row) {
    const behind = this.pages.findIndex(({ last }) => last !== null && this.filter.compare(row, last) < 0);
    const page = behind >= 0 ? this.pages[behind] : this.atEnd ? this.pages.at(-1) : null;
    if (!page?.rows) return;
    if (page.rows.length >= MOST_FRESH) {
      this.newerLeft = true;
      return;
    }
    page.rows.push(row);
    page.rows.sort(this.filter.compare);
    page.last = page.rows.at(-1);
  }

  /** Remove an erased call. */
  remove(sessionId) {
    const row = this.#find(sessionId);
    if (row === null) return;
    this.fresh.delete(sessionId);
    for (const page of this.pages) page.rows = page.rows?.filter((each) => each !== row) ?? null;
    if (this.count?.exact) this.count = { ...this.count, value: Math.max(0, this.count.value - 1) };
    this.changed();
  }

  #find(sessionId) {
    if (this.fresh.has(sessionId)) return this.fresh.get(sessionId);
    for (const { rows } of this.pages) {
      const found = rows?.find((row) => row.session.sessionId === sessionId);
      if (found) return found;
    }
    return null;
  }

  #isBefore(row) {
    return this.#first === null || this.filter.compare(row, { session: this.#first }) < 0;
  }

  /** Add the calls that ended while the feed was interrupted. */
  async catchUp() {
    if (this.filter === null) return;
    if (!this.loaded) {
      this.#stale = this.#busy;
      await this.loadNext();
      return;
    }
    this.#stale = false;
    const generation = this.#generation;
    // Newer calls are at the beginning or, with the oldest first, at the end.
    const atEnd = this.filter.compare === oldestFirst && this.atEnd && this.pages.length > 0;
    let cursor = atEnd ? this.pages.at(-1).cursor : null;
    try {
      for (let page = 0; page < PAGES_TO_CATCH_UP; page += 1) {
        const answer = await this.#read(cursor);
        if (generation !== this.#generation) return;
        for (const session of answer.sessions) if (session.endedAt !== null) this.add(makeRow(session));
        if (answer.count) this.count = answer.count;
        const last = answer.sessions.at(-1);
        cursor = answer.nextCursor;
        if (cursor === null || !(atEnd || this.#isBefore({ session: last }))) return;
      }
      this.newerLeft = true;
    } catch {
      this.newerLeft = true;
    }
    this.changed();
  }

  // Summaries of ended calls

  /** Read the summary of an ended call, which the list lacks, while its row is in view. One call at a time. */
  lookInto(row) {
    if (isLive(row) || row.summary || row.looked || row.session.lastSeq === 0) return () => {};
    this.#wanted.add(row);
    this.#look();
    return () => this.#wanted.delete(row);
  }

  async #look() {
    if (this.#looking) return;
    this.#looking = true;
    for (const row of this.#wanted) {
      this.#wanted.delete(row);
      try {
        const stats = await askFigures(sessionPath(row.session.sessionId, "/stats"));
        row.looked = true;
        row.summary ??= summaryOf(stats);
        row.haystack = null;
        this.changed();
      } catch (error) {
        if (!(error instanceof RestError)) break; // read again when its row comes into view again
        row.looked = true;
      }
    }
    this.#looking = false;
  }
}
