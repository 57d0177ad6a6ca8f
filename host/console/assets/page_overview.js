// The overview: is it well, what does it do, what needs a look.
import { listeners, live } from "./api.js";
import { chart } from "./charts.js";
import { ago, count, data, duration, empty, h, loading, number, panel, pill, plural, seconds, time, update, visible } from "./dom.js";

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

/** [kind, text, link] for what an operator should look at. */
export function concerns(status) {
  const found = [];
  const health = status.health ?? {};
  for (const [name, state] of Object.entries(health.dependencies ?? {})) {
    if (state?.status !== "healthy") found.push([state?.status === "degraded" ? "warn" : "bad", `${name}: ${state?.reason ?? state?.error ?? state?.status}`]);
    for (const wait of state?.waiting ?? []) {
      found.push(["warn", `The topic ${wait.topic ?? wait} waits${wait.reason ? `: ${wait.reason}` : ""}`, "#/partitions"]);
    }
  }
  if (status.scripts_agree === false) found.push(["warn", "The processes of the group run different scripts", "#/partitions"]);
  for (const one of status.instances ?? []) {
    if (one.gone) found.push(["warn", `The process ${one.instance} has been silent since ${time(one.last_seen)}`, "#/partitions"]);
  }
  if (status.outbox?.failed > 0) found.push(["bad", `Kafka refused ${plural(status.outbox.failed, "message")}`, "#/outbox?state=failed"]);
  if (status.outbox?.error) found.push(["warn", `Outbox: ${status.outbox.error}`, "#/outbox"]);
  if (status.reactions?.failures > 0 && status.reactions.marks > 0) {
    found.push(["warn", `Reactions failed ${plural(status.reactions.failures, "time")}; ${plural(status.reactions.marks, "key")} wait`, "#/warnings"]);
  }
  for (const one of status.certificates ?? []) {
    if (one.days_left < 21) found.push([one.days_left < 7 ? "bad" : "warn", `The certificate of ${one.listener} ends in ${plural(one.days_left, "day")}: ${one.names}`]);
  }
  for (const warning of status.warnings ?? []) found.push(["warn", warning, "#/warnings"]);
  return found;
}

function hero(status) {
  const running = status.generations?.find((g) => g.running) ?? {};
  const me = status.instances?.find((one) => one.this);
  const alive = status.instances?.filter((one) => !one.gone).length;
  return h("div", { class: `hero ${status.ready ? "good" : "bad"}` },
    h("div", { class: "hero-state" }, h("span", { class: "dot", "aria-hidden": "true" }),
      h("div", {}, h("strong", {}, status.ready ? "Ready" : "Not ready"),
        h("p", {}, visible(status.ready ? "Serves requests and consumes events" : status.health?.message ?? "")))),
    h("dl", { class: "hero-facts" }, [
      ["Scripts", h("a", { href: "#/scripts" }, `${running.generation ?? "–"} · `, h("code", {}, (running.hash ?? "").slice(0, 8)))],
      ["Running since", me ? h("span", { title: `${time(me.started)} UTC` }, ago(me.started)) : "–"],
      ["Processes", alive === undefined ? "unknown" : count(alive)],
      ["Version", status.health?.program_version ?? "–"],
      ["Environment", status.health?.environment ?? "–"],
    ].map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value)))));
}

export const title = "Overview";

export function mount(root) {
  const charts = CHARTS.map(chart);
  const top = h("div", {}, loading("the status"));
  const details = h("div", { class: "columns" });
  const buttons = RANGES.map(([n, text]) => h("button", {
    type: "button", "aria-pressed": String(n === samples),
    onclick: () => { samples = n; buttons.forEach((b, i) => b.setAttribute("aria-pressed", String(RANGES[i][0] === n))); draw(); },
  }, text));
  root.append(top, h("div", { class: "bar" }, h("h2", {}, "Last hour of this process"),
    h("div", { class: "segmented", role: "group", "aria-label": "Range of the charts" }, buttons)),
  h("div", { class: "charts" }, charts.map((one) => one.element)), details);

  function draw() {
    const { figures, status } = live;
    if (figures) {
      charts.forEach((one) => one.update(figures.series, figures.interval_s, Date.parse(figures.at) || Date.now(), samples));
    }
    if (!status) return;
    update(top, hero(status));
    const list = concerns(status);
    update(details,
      panel("Needs a look", list.length === 0 ? empty("Nothing", "No warning, no waiting topic, no failed message.")
        : h("ul", { class: "concerns" }, list.slice(0, 12).map(([kind, text, link]) =>
          h("li", {}, pill(kind, kind === "bad" ? "fault" : "warning"),
            link ? h("a", { href: link }, data(text, 300)) : data(text, 300))))),
      panel("Dependencies", h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Dependencies" }, h("table", {},
        h("tbody", {}, Object.entries(status.health?.dependencies ?? {}).map(([name, state]) => dependencyRow(name, state)),
          h("tr", {}, h("th", { scope: "row" }, "outbox"), h("td", {}, pill(status.outbox?.error ? "warn" : "good",
            status.outbox?.publishes ? "publishes" : "another process publishes")),
          h("td", {}, status.outbox ? `${plural(status.outbox.pending, "message")} wait` : "")),
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
