// Partitions of the group, and its processes.
import { askLiveAgain, get, listeners, live, poll, post } from "./api.js";
import { waitOf } from "./concerns.js";
import { confirm, toast } from "./dialog.js";
import { concernList } from "./page_overview.js";
import { ago, count, data, duration, empty, failure, h, loading, pill, plural, replace, setText, time, update } from "./dom.js";

const head = (...names) => h("thead", {}, h("tr", {}, names.map(([name, kind]) => h("th", { scope: "col", class: kind }, name))));
const table = (label, header, rows) => h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": label }, h("table", {}, header, h("tbody", {}, rows)));
const hash = (text) => (text ? h("code", { title: text }, text.slice(0, 8)) : h("span", { class: "none" }, "–"));

function processes(status) {
  if (!status.instances) return empty("Unknown", "The database does not answer.");
  return table("Processes of the group", head(["Process"], ["State"], ["Scripts"], ["Since (UTC)"], ["Started (UTC)"], ["Last seen"]),
    status.instances.map((one) => h("tr", {}, h("th", { scope: "row" }, data(one.instance, 80), one.this && h("span", { class: "quiet" }, " (this one)")),
      h("td", {}, one.gone ? pill("bad", "silent") : pill("good", "alive")), h("td", { class: "moment" }, `${one.generation} · `, hash(one.hash)),
      h("td", { class: "moment" }, time(one.since)), h("td", { class: "moment" }, time(one.started)), h("td", { class: "moment" }, ago(one.last_seen)))));
}

function byTopic(answer) {
  const lags = new Map(), ages = new Map(), topics = new Map();
  // Under null: of all partitions of the topic that are read here.
  for (const one of answer.lag_records) {
    if (one.partition !== null) lags.set(`${one.topic}/${one.partition}`, one.lag);
    lags.set(`${one.topic}/null`, (lags.get(`${one.topic}/null`) ?? 0) + one.lag);
  }
  for (const one of answer.lag_s) {
    if (one.partition !== null) ages.set(`${one.topic}/${one.partition}`, one.lag);
    ages.set(`${one.topic}/null`, Math.max(ages.get(`${one.topic}/null`) ?? 0, one.lag));
  }
  for (const one of answer.partitions) {
    const id = `${one.topic}/${one.partition}`;
    if (!topics.has(one.topic)) topics.set(one.topic, []);
    topics.get(one.topic).push({ ...one, lag: lags.get(id), age: ages.get(id) });
  }
  return topics;
}

const sum = (rows, name) => rows.reduce((total, row) => total + (row[name] ?? 0), 0);
const COUNTS = ["applied", "superseded", "ignored", "duplicate", "rejected", "expired", "skipped"];
const age = (lag, s) => (lag > 0 && s !== undefined ? `, ${duration(s)}` : "");

function lagCell(rows) {
  const known = rows.filter((row) => row.lag !== undefined);
  if (known.length === 0) return h("td", { class: "number none" }, "elsewhere");
  const lag = sum(known, "lag");
  return h("td", { class: `number ${lag > 0 ? "warn-text" : ""}` }, count(lag), h("span", { class: "quiet" }, age(lag, Math.max(...known.map((row) => row.age ?? 0)))));
}

const cells = (rows) => COUNTS.map((name) => h("td", { class: `number ${name === "rejected" && sum(rows, name) > 0 ? "bad-text" : ""}` }, count(sum(rows, name))));

function partitionRows(topic, rows, waiting, open) {
  const summed = rows[0].partition === null;
  const wait = waiting.find((one) => one.topic === topic);
  const button = h("button", { type: "button", class: "plain disclosure", "aria-expanded": String(open.has(topic)), onclick: () => {
    if (open.has(topic)) open.delete(topic);
    else open.add(topic);
    const shown = open.has(topic);
    button.setAttribute("aria-expanded", String(shown));
    details.forEach((row) => { row.hidden = !shown; });
  } }, data(topic, 100));
  const details = (summed ? [] : rows).map((row) => h("tr", { class: "sub", hidden: !open.has(topic) },
    h("th", { scope: "row" }, `partition ${row.partition}`, h("span", { class: "quiet" }, ` · offset ${row.next_offset < 0 ? "not read yet" : count(row.next_offset)}`)),
    lagCell([row]), cells([row]), h("td", { class: "moment" }, row.last_time ? time(row.last_time) : "–"), h("td", {}, hash(row.scripts))));
  const newest = rows.map((row) => row.last_time).filter(Boolean).sort().at(-1);
  const hashes = [...new Set(rows.map((row) => row.scripts).filter(Boolean))];
  return [h("tr", {}, h("th", { scope: "row", title: plural(sum(rows, "partitions"), "partition") }, summed ? data(topic, 100) : button, h("span", { class: "quiet moment" }, ` × ${count(sum(rows, "partitions"))}`), wait && [" ", pill("warn", "waits")]),
    lagCell(rows), cells(rows), h("td", { class: "moment" }, newest ? time(newest) : "–"),
    h("td", {}, hashes.length > 1 ? pill("warn", `${hashes.length} sets`) : hash(hashes[0]))), ...details];
}

export const title = "Partitions";

export function mount(root) {
  const people = h("div", {}, loading("the processes"));
  const waits = h("div", {});
  const waitPanel = h("section", { class: "panel", hidden: true }, h("div", { class: "bar center" }, h("h2", {}, "Waiting topics"),
    h("button", { type: "button", onclick: tryNow }, "Try now…")), waits);
  const place = h("div", {}, loading("the partitions"));
  const summary = h("p", { class: "quiet" });
  const open = new Set();
  let shown = "";
  root.append(waitPanel, h("section", { class: "panel flush" }, h("div", { class: "heading bar center" }, h("h2", {}, "Topics and partitions"), summary), place),
    h("section", { class: "panel flush" }, h("div", { class: "heading" }, h("h2", {}, "Processes of the group")), people));

  const waiting = () => live.status?.health?.dependencies?.kafka?.waiting ?? [];
  async function tryNow() {
    const broken = waiting().some((wait) => wait.cause === "rejections");
    if (!await confirm({ title: "Try the waiting topics now?", action: "Try now", danger: broken,
      consequence: ["Their events are handled at once, not at the next try. If a system is still away, its topics wait again.",
        broken && "Where a breaker is open, events on which the handler still fails are then rejected, until the handler works for a while. To lose no time later, correct the scripts and reload first."].filter(Boolean) })) return;
    try {
      const { resumed_workers: n } = await post("/admin/resume");
      toast("good", `${plural(n, "worker")} ${n === 1 ? "tries" : "try"} the waiting topics.`);
      askLiveAgain();
    } catch (error) {
      toast("bad", `Not tried: ${error.message}`);
    }
  }
  function drawStatus() {
    if (!live.status) return;
    update(people, processes(live.status));
    waitPanel.hidden = waiting().length === 0;
    update(waits, concernList(waiting().map((wait) => ({ ...waitOf(wait), link: null }))));
  }
  function draw(answer) {
    const text = JSON.stringify([answer, waiting()]);
    if (text === shown) return;
    shown = text;
    const topics = byTopic(answer);
    const lag = sum(answer.lag_records, "lag");
    setText(summary, `${plural(topics.size, "topic")}, ${plural(sum(answer.partitions, "partitions"), "partition")}, ${plural(answer.read_here, "partition")} read here, lag ${count(lag)}`);
    const focused = document.activeElement?.closest?.("td, th")?.textContent;
    replace(place, answer.partitions.length === 0 ? empty("No partitions yet", "The group has not committed an offset.")
      : table("Topics and partitions", head(["Topic"], ["Lag", "number"], ["Applied", "number"], ["Superseded", "number"], ["Ignored", "number"],
        ["Duplicate", "number"], ["Rejected", "number"], ["Skipped", "number"], ["Newest record (UTC)"], ["Scripts"]),
      [...topics].map(([topic, rows]) => partitionRows(topic, rows, waiting(), open))));
    if (focused) [...place.querySelectorAll("th")].find((cell) => cell.textContent === focused)?.querySelector("button")?.focus();
  }
  const polled = poll(() => get("/admin/partitions"), 5000, draw, (error) => {
    if (!shown && error.status !== 401) replace(place, failure(error, () => polled.again()));
  });
  listeners.add(drawStatus);
  drawStatus();
  return () => {
    polled.stop();
    listeners.delete(drawStatus);
  };
}
