// Explain: which events made the rows of an id, and what was published of them.
import { get, query } from "./api.js";
import { block, count, data, empty, facts, failure, h, loading, panel, pill, plural, replace, time } from "./dom.js";

const KINDS = { wrote: "good", repeated: "", lost: "", "not yet consumed": "warn", "not in the view": "bad" };
const STATES = { pending: "info", sent: "good", settled: "", failed: "bad", new: "warn" };

const place = (event) => (event.topic ? `${event.topic}/${event.partition}/${event.offset}` : "not found in the log that was read");

function eventRow(event) {
  return h("tr", {}, h("td", {}, pill(KINDS[event.outcome] ?? "", event.outcome)), h("td", {}, time(event.at)), h("td", {}, data(event.event_id, 80)),
    h("td", {}, data(place(event), 160)), h("td", {}, data(event.handler, 80), event.rests_on && h("span", { class: "quiet" }, " rests on ", data(event.rests_on, 40))));
}

function groupOf(group) {
  return h("div", { class: "stack tight" }, h("h3", {}, data(group.name, 80), " ", h("span", { class: "quiet" }, `${group.rule}${group.at ? ` · ${time(group.at)}` : ""}`)),
    group.events?.length > 0 ? h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": `Events of ${group.name}` }, h("table", {},
      h("thead", {}, h("tr", {}, ["Outcome", "Time (UTC)", "Event", "Record", "Handler"].map((name) => h("th", { scope: "col" }, name)))),
      h("tbody", {}, group.events.map(eventRow)))) : h("p", { class: "quiet" }, "Written by event ", data(group.event_id, 80)));
}

const keyText = (key) => Object.entries(key ?? {}).map(([name, value]) => `${name} ${value}`).join(", ");

function rowOf(row, isOpen) {
  return h("details", { class: "file", open: isOpen }, h("summary", {}, pill(row.in_view ? "good" : "warn", row.in_view ? "in the view" : "not in the view"),
    h("strong", {}, data(row.table, 80)), data(keyText(row.key), 160)), h("div", { class: "stack inner" }, (row.groups ?? []).map(groupOf)));
}

function messageRow(message) {
  return h("tr", {}, h("td", {}, pill(STATES[message.state] ?? "", message.state ?? "new")), h("td", {}, message.id ? h("a", { href: `#/explain?word=outbox&id=${encodeURIComponent(message.id)}` }, String(message.id)) : "–"),
    h("td", {}, data(message.topic, 100)), h("td", {}, data(message.key, 100)), h("td", {}, data(message.source, 80)), h("td", {}, data(message.today, 40)));
}

function report(answer) {
  const parts = [];
  if (answer.message) parts.push(panel("Message", facts(Object.entries(answer.message).filter(([name]) => name !== "value_today").map(([name, value]) => [name.replaceAll("_", " "), value]))));
  parts.push(panel("Rows of the view", (answer.rows ?? []).length === 0 ? empty("No row", "No row of the view has this id.")
    : answer.rows.map((row) => rowOf(row, answer.rows.length <= 3))));
  for (const [name, text] of [["rejected", "Rejected events that name it"], ["without_effect", "Events without effect"]]) {
    if (answer[name]?.length > 0) {
      parts.push(panel(text, answer[name].map((event) => h("div", { class: "line" }, pill(name === "rejected" ? "bad" : "", event.reason ?? event.outcome ?? "ignored"), data(event.event_id, 80), data(place(event), 160), data(event.detail ?? event.handler, 200)))));
    }
  }
  if (answer.published?.length > 0) {
    parts.push(panel("Published of it", h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Published" }, h("table", {}, h("thead", {}, h("tr", {},
      ["State", "Id", "Topic", "Key", "Made by", "Today"].map((text) => h("th", { scope: "col" }, text)))), h("tbody", {}, answer.published.map(messageRow))))));
  }
  if (answer.reactions?.length > 0) {
    parts.push(panel("Reactions", answer.reactions.map((reaction) => h("details", { class: "file" }, h("summary", {}, pill(reaction.error || reaction.mark_error ? "bad" : reaction.marked_at ? "warn" : "good",
      reaction.error || reaction.mark_error ? "fails" : reaction.marked_at ? "waits" : "done"), data(reaction.reaction, 80), data(reaction.key, 100), h("span", { class: "quiet" }, `would publish ${count(reaction.messages)}`)),
    h("div", { class: "inner" }, block(JSON.stringify(reaction, null, 2)))))));
  }
  parts.push(h("details", {}, h("summary", {}, "The whole response"), block(JSON.stringify(answer, null, 2), 20000)));
  return parts;
}

export const title = "Explain";

export function mount(root, params) {
  const word = h("input", { id: "word", list: "words", autocomplete: "off", spellcheck: "false", placeholder: "any", value: params.get("word") ?? "" });
  const id = h("input", { id: "id", "data-filter": "", required: true, autocomplete: "off", spellcheck: "false", placeholder: "id of a row, an event or a message", value: params.get("id") ?? "" });
  const table = h("input", { id: "table", autocomplete: "off", spellcheck: "false", placeholder: "all", value: params.get("table") ?? "" });
  const since = h("input", { id: "since", list: "sinces", autocomplete: "off", placeholder: "an hour before the oldest winner", value: params.get("since") ?? "" });
  const button = h("button", { type: "submit", class: "primary" }, "Explain");
  const place_ = h("div", { class: "stack", "aria-live": "polite" });
  const abort = new AbortController();
  const field = (name, label, control, extra) => h("div", { class: `field ${extra ?? ""}` }, h("label", { for: name }, label), control);

  async function explain() {
    const asked = { word: word.value.trim(), id: id.value.trim(), table: table.value.trim(), since: since.value.trim() };
    if (!asked.id) return;
    history.replaceState(null, "", `#/explain${query(asked)}`);
    button.disabled = true;
    replace(place_, loading("the explanation: it reads Kafka's log, which may take a while"));
    try {
      const path = [asked.word, asked.id].filter(Boolean).map(encodeURIComponent).join("/");
      const answer = await get(`/admin/explain/${path}${query({ table: asked.table, since: asked.since })}`, { timeoutMs: 125000, signal: abort.signal });
      replace(place_, h("p", { class: "quiet" }, [answer.records_read !== undefined && plural(answer.records_read, "record"), answer.records_read !== undefined && " of the log read"].filter(Boolean).join("")), report(answer));
    } catch (error) {
      if (!abort.signal.aborted) replace(place_, failure(error));
    }
    button.disabled = false;
  }
  root.append(h("form", { class: "bar panel form", onsubmit: (event) => { event.preventDefault(); explain(); } },
    field("word", "Kind", word), field("id", "Id", id, "grow"), field("table", "Table", table), field("since", "Events since", since), button,
    h("datalist", { id: "words" }, ["event", "outbox"].map((value) => h("option", { value }))),
    h("datalist", { id: "sinces" }, h("option", { value: "beginning" }))), place_);
  replace(place_, empty("Where does a value come from?", "Enter an id: its rows follow, with the event that wrote each group of columns, those that lost, and what was published."));
  if (id.value) explain();
  return () => abort.abort();
}
