// The overview: is it well, what does it do, what needs a look.
import { listeners, live } from "./api.js";
import { chart } from "./charts.js";
import { concerns, unwellSince, unwellText, wellness } from "./concerns.js";
import { ago, count, data, duration, h, loading, number, panel, pill, plural, seconds, time, update, visible } from "./dom.js";

const RANGES = [[60, "5 min"], [180, "15 min"], [720, "1 h"]];
let samples = 180;

const CHARTS = [
  { title: "Events", hint: "Events committed in a second, whatever became of them",
    format: (v) => (v === null ? "–" : `${number(v)}/s`),
    lines: [{ name: "events_per_s", kind: "a" }, { name: "rejected_per_s", label: "rejected", kind: "bad" }] },
  { title: "Lag", hint: "Records of this process' partitions that are not committed yet, and the age of the oldest",
    format: count, lines: [{ name: "lag_records", kind: "a" }, { name: "lag_s", label: "oldest", format: seconds }] },
  { title: "Requests", hint: "Requests of the API in a second, without probes and scrapes",
    format: (v) => (v === null ? "–" : `${number(v)}/s`), lines: [{ name: "requests_per_s", kind: "b" }] },
  { title: "Latency", hint: "Time from a request's head to its response: 99 of 100 took no longer, and half took no longer",
    format: seconds, lines: [{ name: "request_p99_s", label: "p99", kind: "b" }, { name: "request_p50_s", label: "p50", kind: "c" }] },
  { title: "Cache hits", hint: "Share of responses that came from a cache",
    format: (v) => (v === null ? "–" : `${number(v)} %`), top: 100, lines: [{ name: "cache_hits_percent", kind: "c" }] },
  { title: "Errors", hint: "Requests answered with a status of 500 or above in a second",
    format: (v) => (v === null ? "–" : `${number(v)}/s`), lines: [{ name: "errors_per_s", kind: "bad" }],
    alarm: (v) => (v > 0 ? "bad" : "") },
  { title: "Outbox", hint: "Messages that wait to be published", format: count,
    lines: [{ name: "outbox_pending", kind: "a" }] },
  { title: "Commit", hint: "Duration of a transaction: 99 of 100 took no longer", format: seconds,
    lines: [{ name: "commit_p99_s", label: "p99", kind: "c" }] },
];

function dependencyRow(name, state) {
  const good = state?.status === "healthy";
  return h("tr", {}, h("th", { scope: "row" }, name),
    h("td", {}, pill(good ? "good" : state?.status === "degraded" ? "warn" : "bad", good ? "up" : String(state?.status ?? "unknown"))),
    h("td", {}, state?.error || state?.reason ? data(state.reason ?? state.error, 300)
      : state?.took_ms !== undefined ? seconds(state.took_ms / 1000)
        : state?.workers !== undefined ? `${state.committing} of ${plural(state.workers, "worker")} commit` : ""));
}

/** A list of concerns with their times and what to do. */
export const concernList = (found) => h("ul", { class: "concerns" }, found.map(({ kind, text, since, todo, link }) =>
  h("li", {}, pill(kind, kind === "bad" ? "fault" : "warning"), h("div", { class: "concern" },
    h("p", {}, link ? h("a", { href: link }, data(text, 500)) : data(text, 500),
      since && h("span", { class: "quiet", title: `since ${time(since)} UTC` }, ` · for ${ago(since).slice(0, -4)}`)),
    todo && h("p", { class: "help" }, todo)))));

function hero(status) {
  const running = status.generations?.find((g) => g.running) ?? {};
  const alive = status.instances?.filter((one) => !one.gone).length;
  const [kind, word] = wellness(status);
  const unwell = Object.entries(status.health?.dependencies ?? {}).filter(([, state]) => state?.status !== "healthy").map(([name]) => name);
  const what = kind === "good" ? "Serves requests and consumes events"
    : unwell.length === 0 ? status.health?.message ?? "" : `${unwell.join(", ")} ${unwell.length === 1 ? "is" : "are"} not healthy`;
  return h("div", { class: `hero ${kind}` },
    h("div", { class: "hero-state" }, h("span", { class: "dot", "aria-hidden": "true" }),
      h("div", {}, h("strong", {}, word),
        h("p", {}, visible(what), kind !== "good" && unwellText(unwellSince(status))))),
    h("dl", { class: "hero-facts" }, [
      ["Scripts", h("a", { href: "#/scripts" }, `${running.generation ?? "–"} · `, h("code", {}, (running.hash ?? "").slice(0, 8)))],
      ["Running since", h("span", { title: `${time(status.process?.started)} UTC` }, `${duration(status.process?.uptime_s)} ago`)],
      ["Processes", alive === undefined ? "unknown" : count(alive)],
      ["Version", status.health?.program_version ?? "–"],
      ["Environment", status.health?.environment ?? "–"],
    ].map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value)))));
}

export const title = "Overview";

export function mount(root) {
  const charts = CHARTS.map(chart);
  const top = h("div", {}, loading("the status"));
  const look = h("div", {});
  const details = h("div", {});
  const buttons = RANGES.map(([n, text]) => h("button", {
    type: "button", "aria-pressed": String(n === samples),
    onclick: () => { samples = n; buttons.forEach((b, i) => b.setAttribute("aria-pressed", String(RANGES[i][0] === n))); draw(); },
  }, text));
  root.append(top, look, h("div", { class: "bar" }, h("h2", {}, "Figures of this process"),
    h("div", { class: "segmented", role: "group", "aria-label": "Range of the charts" }, buttons)),
  h("div", { class: "charts" }, charts.map((one) => one.element)), details);

  function draw() {
    const { figures, status } = live;
    if (figures) {
      charts.forEach((one) => one.update(figures.series, figures.interval_s, Date.parse(figures.at) || Date.now(), samples));
    }
    if (!status) return;
    update(top, hero(status));
    const list = concerns(status, figures);
    update(look, panel("Needs a look", list.length === 0 ? h("p", { class: "quiet" }, "Nothing: no fault, no warning, no rejected event in the last hour.")
      : concernList(list.slice(0, 12)), list.length > 12 && h("a", { href: "#/warnings" }, `All ${count(list.length)}`)));
    update(details,
      panel("Dependencies", h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Dependencies" }, h("table", {},
        h("tbody", {}, Object.entries(status.health?.dependencies ?? {}).map(([name, state]) => dependencyRow(name, state)),
          h("tr", {}, h("th", { scope: "row" }, "outbox"), h("td", {}, pill(status.outbox?.error ? "warn" : "good",
            status.outbox?.publishes ? "publishes" : "another process publishes")),
          h("td", {}, status.outbox ? `${plural(status.outbox.pending, "message waits", "messages wait")}` : "")),
          h("tr", {}, h("th", { scope: "row" }, "reactions"), h("td", {}, pill(status.reactions?.marks > 0 ? "warn" : "good",
            status.reactions?.marks > 0 ? "behind" : "done")),
          h("td", {}, status.reactions?.marks > 0 ? `${plural(status.reactions.marks, "key")}, the oldest ${duration(status.reactions.oldest_mark_s)}` : "")),
          (status.certificates ?? []).map((one) => h("tr", {}, h("th", { scope: "row" }, `certificate of ${one.listener}`),
            h("td", {}, pill(one.days_left < 7 ? "bad" : one.days_left < 21 ? "warn" : "good", plural(one.days_left, "day"))), h("td", {}, data(one.names, 200)))))))));
  }
  listeners.add(draw);
  draw();
  return () => listeners.delete(draw);
}
