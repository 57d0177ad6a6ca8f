// Live events: records as they arrive in Kafka, as the handlers on the disk would take them.
import { get, poll, post, query, turns } from "./api.js";
import { block, count, data, empty, h, pill, placeOf, plural, replace, setText, time } from "./dom.js";
import { toast } from "./dialog.js";

const SHOWN = 300;
const KINDS = { applied: "good", ignored: "", rejected: "bad" };

function eventOf(event) {
  const { topic, partition, offset, stored_at, outcome, handler, event_id, reason, detail, ...rest } = event;
  return h("details", { class: "file event" }, h("summary", { "data-row": "" }, pill(KINDS[outcome] ?? "", outcome ?? "?"),
    h("span", { class: "row-main" }, placeOf(topic, `/${partition}/${offset}`)), h("span", { class: "quiet" }, data(reason ?? handler, 100)), h("span", { class: "row-side" }, time(stored_at))),
  h("div", { class: "inner stack" }, block(JSON.stringify({ event_id, handler, reason, detail, ...rest }, null, 2), 20000)));
}

export const title = "Live events";

export function mount(root, params) {
  const topic = h("input", { id: "topic", list: "topics", autocomplete: "off", spellcheck: "false", placeholder: "all that handlers declare", value: params.get("topic") ?? "" });
  const contains = h("input", { id: "contains", "data-filter": "", autocomplete: "off", spellcheck: "false", placeholder: "an id, or any text of the bytes", value: params.get("contains") ?? "" });
  const topics = h("datalist", { id: "topics" });
  const start = h("button", { type: "submit", class: "primary" }, "Start");
  const stop = h("button", { type: "button", disabled: true, onclick: () => end() }, "Stop");
  const pause = h("input", { type: "checkbox", id: "pause" });
  const state = h("p", { class: "quiet", role: "status" }, "Not started.");
  const stream = h("div", { class: "stream" });
  const field = (name, label, control, extra) => h("div", { class: `field ${extra ?? ""}` }, h("label", { for: name }, label), control);
  const starts = turns();
  let mine = 0, after = 0, shown = 0, leftOut = 0, polled = null;

  function say(text, kind) {
    setText(state, text);
    state.className = kind ?? "quiet";
  }
  function ended(text, kind) {
    polled?.stop();
    polled = null;
    start.disabled = false;
    stop.disabled = true;
    setText(start, shown > 0 ? "Start again" : "Start");
    say(text, kind);
  }
  function take(answer) {
    if (answer.tap !== mine) {
      ended("Another console started a tap, which ended this one.", "notice warn");
      return;
    }
    if (!pause.checked) {
      leftOut += Math.max(0, answer.first - after - 1);
      after = answer.last;
      const fresh = answer.events.map(eventOf).reverse();
      if (fresh.length > 0 && shown === 0) replace(stream);
      stream.prepend(...fresh);
      shown += fresh.length;
      while (stream.children.length > SHOWN) stream.lastChild.remove();
    }
    if (!answer.running) ended(`Ended: ${answer.ended ?? "it was stopped"}. ${plural(shown, "event")} seen.`, /five minutes/.test(answer.ended ?? "") ? "quiet" : "notice bad");
    else say(`${pause.checked ? "Paused" : "Reading"}: ${plural(shown, "event")}${shown > SHOWN ? `, the last ${SHOWN} shown` : ""}${leftOut > 0 ? `, ${count(leftOut)} left out: they came faster than they are kept` : ""}.`);
  }
  async function begin() {
    const isLast = starts();
    start.disabled = true;
    history.replaceState(null, "", `#/live${query({ topic: topic.value.trim(), contains: contains.value.trim() })}`);
    try {
      const answer = await post(`/admin/tap/start${query({ topic: topic.value.trim(), contains: contains.value.trim() })}`);
      if (!isLast()) return; // the page was left: the tap ends by itself
      mine = answer.tap;
      after = answer.last;
      shown = leftOut = 0;
      stop.disabled = false;
      replace(stream, empty("Waiting for events", "Those that arrive from now on appear here."));
      say("Reading: no event yet.");
      polled = poll(() => get(`/admin/tap?after=${after}`), 1000, take);
    } catch (error) {
      ended(`Not started: ${error.message}`, "notice bad");
    }
  }
  async function end() {
    ended(`Stopped. ${plural(shown, "event")} seen.`);
    start.disabled = true; // a start that overtakes the stop would be stopped
    try {
      await post("/admin/tap/stop");
    } catch (error) {
      toast("bad", `The tap was not stopped: ${error.message} It ends by itself after five minutes.`);
    }
    start.disabled = false;
  }
  get("/admin/partitions").then((answer) => replace(topics, [...new Set(answer.partitions.map((one) => one.topic))].map((value) => h("option", { value }))), () => {});
  root.append(h("form", { class: "bar panel form", onsubmit: (event) => { event.preventDefault(); begin(); } }, field("topic", "Topic", topic), field("contains", "Contains", contains, "grow"),
    h("div", { class: "buttons" }, start, stop), h("label", { class: "check tall" }, pause, "Pause"), topics), state, h("section", { class: "panel flush", "aria-label": "Events" }, stream));
  replace(stream, empty("Which events arrive now?", "Reads Kafka outside the consumer group, by the scripts on the disk. It moves no offset and writes nothing."));
  return () => {
    starts();
    if (polled) end();
  };
}
