// Warnings: what the program says of itself: settings, faults, and the newest lines of its log.
import { listeners, live } from "./api.js";
import { block, count, data, empty, facts, h, loading, panel, pill, replace, time, update } from "./dom.js";
import { concerns } from "./concerns.js";
import { concernList } from "./page_overview.js";

const KINDS = { warning: "warn", error: "bad", critical: "bad" };

function lineOf(line) {
  const { level, message, time: at, count: n, ...fields } = line;
  const kind = KINDS[String(level ?? "").toLowerCase()] ?? "";
  return h("details", { class: "file" }, h("summary", { "data-row": "" }, pill(kind, String(level ?? "log").toLowerCase()), h("span", { class: "row-main" }, h("strong", {}, data(message, 300)), n > 1 && h("span", { class: "quiet" }, ` ${count(n)} times`)),
    h("span", { class: "quiet" }, (fields.error ?? fields.reason ?? fields.setting) && data(fields.error ?? fields.reason ?? fields.setting, 200)), h("span", { class: "row-side" }, time(at))),
  h("div", { class: "inner" }, facts(Object.entries(fields).map(([name, value]) => [name, typeof value === "object" ? JSON.stringify(value) : String(value)]))));
}

export const title = "Warnings";

export function mount(root) {
  const now = h("div", {}, loading("the warnings"));
  const place = h("div", { class: "stack" });
  let drawn = "";
  root.append(now, place);
  function draw() {
    const { status } = live;
    if (!status) return;
    const found = concerns(status, live.figures);
    update(now, panel("Now", found.length === 0 ? empty("Nothing", "No fault, no warning, no rejected event in the last hour.") : concernList(found)));
    const lines = status.recent_problems ?? [];
    const failure = status.reactions?.last_failure;
    const text = JSON.stringify([lines, failure]);
    if (text === drawn) return;
    drawn = text;
    replace(place, failure && panel("Last failure of a reaction", block(typeof failure === "string" ? failure : JSON.stringify(failure, null, 2))),
      h("section", { class: "panel flush" }, h("div", { class: "heading" }, h("h2", {}, "Newest warnings and errors of the log")),
        lines.length === 0 ? empty("None since the start", "The whole log is on the program's standard error.") : h("div", { class: "stream" }, lines.map(lineOf))));
  }
  listeners.add(draw);
  draw();
  return () => listeners.delete(draw);
}
