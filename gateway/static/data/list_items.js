// The items of the list of calls, in order: headings, calls, and gaps for past calls that are not in memory.
import { attention, urgency } from "./attention.js";
import { isLive, oldestFirst } from "./calls.js";

/** The live calls that match the filter, grouped by whether they need attention. `now` is on this browser's clock. */
export function liveGroups({ live, filter }, now) {
  const groups = { attention: [], live: [] };
  for (const row of live.rows.values()) {
    if (!filter.live(row)) continue;
    row.reasons = attention(row, now);
    row.urgency = urgency(row.reasons);
    groups[row.urgency ? "attention" : "live"].push(row);
  }
  groups.attention.sort((a, b) => b.urgency - a.urgency || filter.compare(a, b));
  groups.live.sort(filter.compare);
  return groups;
}

/** `{items, label, count}` of the past calls: items as in `listItems`, their heading, and the number of calls as text. */
export function pastItems(calls, now) {
  const { past, filter } = calls;
  const items = [];
  let count = 0;
  const add = (row) => {
    if (!calls.isPast(row) || !filter.shows(row)) return;
    row.reasons = isLive(row) ? [] : attention(row, now);
    row.urgency = 0;
    items.push({ key: `call ${row.session.sessionId}`, kind: "call", row, name: "recent" });
    count += 1;
  };
  if (past.newerLeft) items.push({ key: "newer", kind: "newer" });
  for (const row of [...past.fresh.values()].sort(filter.compare)) add(row);
  past.pages.forEach(({ rows, count: left }, page) => {
    if (rows !== null) rows.forEach(add);
    else if (left > 0) items.push({ key: `gap ${page}`, kind: "gap", page, count: left });
    if (rows === null) count += left;
  });
  if (!past.atEnd) items.push({ key: "more", kind: "more" });
  const label = filter.compare === oldestFirst ? "Past" : "Recent";
  return { items, label, count: counted(past, filter, count) };
}

function counted(past, filter, count) {
  if (!past.loaded) return "";
  // At the end of the list all calls have been counted here, even beyond the gateway's own limit.
  if (past.count && !filter.searchesHere && !past.atEnd) {
    const { value, exact } = past.count;
    return `${Math.max(value, count).toLocaleString()}${exact && !past.newerLeft ? "" : "+"}`;
  }
  return `${count.toLocaleString()}${past.atEnd ? "" : "+"}`;
}

/** The whole list: `{kind: "heading" | "call" | "gap" | "more" | "newer", key, …}`. */
export function listItems(groups, recent) {
  const items = [];
  for (const [name, label] of [
    ["attention", "Attention"],
    ["live", "Live"],
  ]) {
    const rows = groups[name];
    if (rows.length === 0) continue;
    items.push({ key: `heading ${name}`, kind: "heading", name, label, count: rows.length.toLocaleString() });
    for (const row of rows) items.push({ key: `call ${row.session.sessionId}`, kind: "call", row, name });
  }
  if (recent.items.length === 0) return items;
  items.push({ key: "heading recent", kind: "heading", name: "recent", label: recent.label, count: recent.count });
  return items.concat(recent.items);
}
