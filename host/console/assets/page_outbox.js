// The outbox: messages for other services: pending, sent, settled, failed.
import { block, count, data, h, pill, plural, time } from "./dom.js";
import { toast } from "./dialog.js";
import { storedPage } from "./stored.js";

const KINDS = { pending: "info", sent: "good", settled: "", failed: "bad" };
const changed = (answers) => answers.reduce((sum, one) => sum + one.changed, 0);

const about = {
  page: "outbox", title: "Outbox", noun: "message", path: "/admin/outbox", one: "/admin/outbox/message",
  itemsKey: "messages", second: { name: "key", label: "Key" }, states: Object.keys(KINDS), containsHint: "key, identity, source, error…",
  empty: ["No messages", "What handlers and reactions publish is stored here with its fact, and sent to Kafka."],
  after: (item) => ({ before: item.id }),
  total: () => null,
  chips: (groups) => groups.map((group) => ({ text: `${group.state} · ${group.topic}`, n: group.count, kind: group.state === "failed" ? "bad" : "",
    values: { topic: group.topic, state: group.state } })),
  row: (item) => [
    h("span", { class: "row-main" }, pill(KINDS[item.state], item.state), data(item.topic, 120)),
    h("span", { class: "row-sub" }, item.error ? h("span", { class: item.state === "failed" ? "row-error" : "" }, data(item.error, 200)) : data(item.key, 200)),
    h("span", { class: "row-side" }, `${item.id} · ${time(item.created_at)}`),
  ],
  details: (found) => [["State", pill(KINDS[found.state], found.state)], ["Id", String(found.id)], ["Topic", found.topic], ["Key", found.key],
    ["Identity", found.identity], ["Stored at (UTC)", time(found.created_at)], ["Fact of (UTC)", time(found.fact_at)],
    ["Done at (UTC)", time(found.done_at)], ["Failed attempts", count(found.attempts)], ["Made by", found.source], ["Of", found.about],
    ["Scripts", found.scripts], ["traceparent", found.traceparent]],
  blocks: (found) => [found.error && h("div", { class: "stack tight" }, h("h3", {}, "What is wrong"), block(found.error)),
    h("div", { class: "stack tight" }, h("h3", {}, "Headers"), block(JSON.stringify(found.headers, null, 2)))],
  links: (item) => [h("a", { href: `#/explain?word=outbox&id=${item.id}`, class: "button" }, "Explain")],
  actions: [
    { text: "Retry", path: "/admin/outbox/retry", danger: false, applies: (item) => item.state === "failed",
      report: (answers) => toast("good", `${plural(changed(answers), "failed message")} made pending.`),
      consequence: ["Failed messages become pending and are sent again. Others stay as they are.", "One that is older than outbox.horizon_hours is settled instead of sent."] },
    { text: "Drop", path: "/admin/outbox/drop", danger: true, applies: (item) => item.state === "failed" || item.state === "pending",
      report: (answers) => toast("good", `${plural(changed(answers), "message")} settled, not to be sent.`),
      consequence: ["Pending and failed messages become settled: their facts are never published. Sent ones stay as they are.", "One that Kafka takes at this moment may still arrive. There is no way back."] },
  ],
};

export const title = about.title;
export const mount = (root, params) => storedPage(about, root, params);
