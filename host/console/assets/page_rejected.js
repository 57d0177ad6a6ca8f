// Rejected events: why each one was rejected, its bytes, retry and drop.
import { block, count, data, h, pill, placeOf, plural, time } from "./dom.js";
import { toast } from "./dialog.js";
import { storedPage } from "./stored.js";

/** "1 applied or ignored, 0 rejected again", summed over the requests. */
function report(answers) {
  let applied = 0, again = 0;
  for (const { output } of answers) {
    const match = /(\d+) applied or ignored, (\d+) rejected again/.exec(output ?? "");
    applied += Number(match?.[1] ?? 0);
    again += Number(match?.[2] ?? 0);
  }
  toast(again > 0 ? "bad" : "good", `Retried: ${count(applied)} applied or ignored, ${count(again)} rejected again.`);
}

/** ["TOPIC", "/PARTITION/OFFSET"] */
function cut(id) {
  const at = id.lastIndexOf("/", id.lastIndexOf("/") - 1);
  return [id.slice(0, at), id.slice(at)];
}

const link = (href, text) => h("a", { href, class: "button" }, text);

const about = {
  page: "rejected", title: "Rejected events", noun: "rejected event", path: "/admin/rejected", one: "/admin/rejected/event",
  itemsKey: "events", second: { name: "reason", label: "Reason" }, containsHint: "id, reason, detail, handler…",
  empty: ["No rejected events", "An event that cannot be applied is kept here with its bytes and the reason."],
  after: (item) => ({ before_us: item.at_us, before: item.id }),
  total: (groups) => groups[0]?.total ?? 0,
  chips: (groups) => {
    const reasons = new Map();
    for (const group of groups) reasons.set(group.reason, (reasons.get(group.reason) ?? 0) + group.count);
    return [...reasons].sort((a, b) => b[1] - a[1]).map(([text, n]) => ({ text, n, values: { reason: text } }));
  },
  row: (item) => [
    h("span", { class: "row-main" }, pill("bad", h("bdi", {}, data(item.reason, 40))), placeOf(...cut(item.id))),
    h("span", { class: "row-sub" }, data(item.detail, 300)),
    h("span", { class: "row-side" }, time(item.rejected_at)),
  ],
  details: (found) => [["Rejected at (UTC)", time(found.rejected_at)], ["Reason", found.reason], ["Handler", found.handler],
    ["Topic", found.topic], ["Partition", count(found.partition)], ["Offset", String(found.offset)],
    ["Event id", found.event_id], ["Correlation id", found.correlation_id],
    ["traceparent", found.traceparent], ["Scripts", found.scripts]],
  blocks: (found) => found.detail && h("div", { class: "stack tight" }, h("h3", {}, "Why"), block(found.detail)),
  links: (item) => (item.event_id ? [link(`#/explain?word=event&id=${encodeURIComponent(item.event_id)}`, "Explain")] : []),
  actions: [
    { text: "Retry", path: "/admin/rejected/retry", danger: false, report,
      consequence: ["The events are handled again by the scripts on the disk, in a process of their own.",
        "What is applied leaves this list and changes the view; effects of handlers happen. What is rejected again stays, with its new reason."] },
    { text: "Drop", path: "/admin/rejected/drop", danger: true,
      report: (answers) => toast("good", `Dropped ${plural(answers.reduce((sum, one) => sum + one.changed, 0), "rejected event")}.`),
      consequence: ["Their bytes are deleted here and they are never applied. There is no way back but a replay of Kafka's log."] },
  ],
};

export const title = about.title;
export const mount = (root, params) => storedPage(about, root, params);
