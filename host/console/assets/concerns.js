// concerns: what an operator should look at, with its time and what to do. Limits are those of the
// alert rules (packaging/prometheus/aggregator.rules.yml).
import { duration, plural, time } from "./dom.js";

const BEHIND_S = 60, FAR_BEHIND_S = 900; // AggregatorLag
const STUCK_S = 120; // AggregatorOutboxStuck, AggregatorReactionStuck
const CERTIFICATE_DAYS = 21, CERTIFICATE_BAD_DAYS = 3; // AggregatorCertificateExpires
const FAILED_SHARE = 0.1; // AggregatorRequestsFail, critical
const FAILED_SAMPLES = 60, LAG_SAMPLES = 12;

const REASONS = "The docs, operate/reasons.md, have the cause of each reason.";
const OUTAGES = {
  database: `Requests are answered from the caches or with 503, and events wait. Both go on by themselves once it answers. ${REASONS}`,
  redis: `Everything works, slower. ${REASONS}`,
  kafka: `Requests are answered; new events wait. ${REASONS}`,
};

const sum = (values) => values.reduce((total, value) => total + (value ?? 0), 0);

/** Why a topic waits, and when it is tried again. */
export function waitOf(wait) {
  const tried = wait.tries > 0 ? ` after ${plural(wait.tries, "try", "tries")}` : "";
  const next = wait.next_try ? `, next try at ${time(wait.next_try).slice(11)} UTC` : "";
  const place = wait.partition === undefined || wait.partition === null ? "" : ` [${wait.partition}]`;
  return { kind: wait.cause === "rejections" ? "bad" : "warn", since: wait.since, link: "#/partitions",
    text: `${wait.topic}${place} waits${tried}${next}: ${wait.reason ?? wait.cause ?? "unknown"}`,
    todo: wait.cause === "rejections"
      ? "The breaker of its handler is open: no further event is rejected meanwhile. Correct the handler and reload, or roll the scripts back. If the producer is at fault: the page Partitions tries the topic, and rejects what still fails."
      : "Correct the cause. The page Partitions tries it at once." };
}

function ofDependencies(health) {
  const found = [];
  for (const [name, state] of Object.entries(health.dependencies ?? {})) {
    const waiting = state?.waiting ?? [];
    if (state?.status !== "healthy" && !(waiting.length > 0 && state.status === "degraded")) {
      found.push({ kind: state?.status === "degraded" ? "warn" : "bad", since: state?.since, todo: OUTAGES[name] ?? REASONS,
        text: `${name}: ${state?.reason ?? state?.error ?? state?.status}` });
    }
    found.push(...waiting.map(waitOf));
  }
  for (const call of health.scripts?.stuck ?? []) {
    found.push({ kind: "bad", text: `A script hangs: ${JSON.stringify(call)}`, todo: "The docs, operate/recover.md, a script that hangs." });
  }
  return found;
}

function ofLag(status, series) {
  const behind = [...(status.lag?.seconds ?? [])].sort((a, b) => b.value - a.value)[0];
  if (!(behind?.value > BEHIND_S)) return [];
  const lags = (series?.lag_records ?? []).slice(-LAG_SAMPLES);
  const trend = lags.length < LAG_SAMPLES ? "" : lags.at(-1) > lags[0] ? ", and it grows" : lags.at(-1) < lags[0] ? ", and it shrinks" : "";
  return [{ kind: behind.value > FAR_BEHIND_S ? "bad" : "warn", link: "#/partitions",
    text: `The view is ${duration(behind.value)} behind ${behind.topic}: ${plural(sum((status.lag.records ?? []).map((one) => one.value)), "record")} in all topics wait${trend}`,
    todo: "If no topic waits and no dependency is slow, more processes share the work: the docs, operate/scale.md." }];
}

function ofScripts(status) {
  const found = [];
  const running = status.generations?.find((one) => one.running);
  const newest = (pattern) => (status.recent_problems ?? []).find((line) => pattern.test(line.message ?? ""));
  const refused = newest(/^the scripts were not replaced/), bake = newest(/^the bake of the new scripts failed/);
  if (refused && !(Date.parse(running?.since) > Date.parse(refused.time))) {
    found.push({ kind: "warn", since: refused.time, link: "#/scripts", text: `The last reload was refused, the scripts before it run on: ${refused.error ?? ""}`,
      todo: "Correct the named file and reload." });
  }
  // A rollback leaves the refused generation in the list, with a higher number.
  if (bake && status.generations?.some((one) => one.generation > running?.generation)) {
    found.push({ kind: "warn", since: bake.time, link: "#/scripts", text: `New scripts failed in their bake time and were rolled back: ${bake.reason ?? ""}`,
      todo: "Correct them and reload. The page Rejected events has what they rejected." });
  }
  if (status.scripts_agree === false) {
    found.push({ kind: "warn", text: "The processes of the group run different scripts", link: "#/partitions", todo: "Reload where the old ones run." });
  }
  for (const one of status.instances ?? []) {
    if (one.gone) found.push({ kind: "warn", text: `The process ${one.instance} does not report any more`, since: one.last_seen, link: "#/partitions", todo: "If it was not stopped on purpose, look at its log. Other processes take its partitions." });
  }
  return found;
}

function ofOutbox({ outbox, reactions }) {
  const found = [];
  if (outbox?.failed > 0) {
    found.push({ kind: "bad", text: `Kafka refused ${plural(outbox.failed, "message")}`, link: "#/outbox?state=failed", todo: "Read why; retry them when the cause is gone, or drop them." });
  }
  if (outbox?.error) found.push({ kind: "warn", text: `Outbox: ${outbox.error}`, link: "#/outbox" });
  if (outbox?.oldest_pending_s > STUCK_S) {
    found.push({ kind: "bad", text: `${plural(outbox.pending, "message waits", "messages wait")} in the outbox, the oldest for ${duration(outbox.oldest_pending_s)}`, link: "#/outbox?state=pending",
      todo: outbox.publishes ? "This process sends them: look at Kafka." : "Another process has to send them: look whether one runs." });
  }
  if (reactions?.oldest_mark_s > STUCK_S || (reactions?.failures > 0 && reactions.marks > 0)) {
    found.push({ kind: "warn", text: `${plural(reactions.marks, "key waits", "keys wait")} for a reaction, the oldest for ${duration(reactions.oldest_mark_s)}; ${plural(reactions.failures, "failure")} since the start`,
      link: "#/warnings", todo: "The page Warnings has the last failure." });
  }
  return found;
}

function ofFigures(figures) {
  const found = [];
  const { series, interval_s: intervalS } = figures ?? {};
  const rejected = Math.round(sum(series?.rejected_per_s ?? []) * intervalS);
  if (rejected > 0) {
    found.push({ kind: "warn", text: `${plural(rejected, "event")} ${rejected === 1 ? "was" : "were"} rejected in the last hour`, link: "#/rejected",
      todo: "Read why. When the cause is gone, retry them." });
  }
  const errors = sum((series?.errors_per_s ?? []).slice(-FAILED_SAMPLES)), requests = sum((series?.requests_per_s ?? []).slice(-FAILED_SAMPLES));
  if (errors > 0) {
    found.push({ kind: errors > requests * FAILED_SHARE ? "bad" : "warn", link: "#/warnings",
      text: `${plural(Math.max(1, Math.round(errors * intervalS)), "request")} failed in the last five minutes (status 500 and above)`, todo: "The page Warnings has the lines of the log." });
  }
  return found;
}

function ofCertificates(certificates) {
  return (certificates ?? []).filter((one) => one.days_left < CERTIFICATE_DAYS).map((one) => ({
    kind: one.days_left < CERTIFICATE_BAD_DAYS ? "bad" : "warn", todo: "Replace its files: the program reads them by itself (the docs, operate/tls.md).",
    text: one.days_left < 0 ? `The certificate of the listener ${one.listener} has expired: ${one.names}`
      : `The certificate of the listener ${one.listener} expires in ${plural(one.days_left, "day")}: ${one.names}` }));
}

/** [{kind: "bad" or "warn", text, since, todo, link}], the worst first. figures: of live, or null. */
export function concerns(status, figures) {
  const found = [...ofDependencies(status.health ?? {}), ...ofLag(status, figures?.series), ...ofOutbox(status), ...ofScripts(status),
    ...ofFigures(figures), ...ofCertificates(status.certificates), ...(status.warnings ?? []).map((text) => ({ kind: "warn", text }))];
  return [...found.filter((one) => one.kind === "bad"), ...found.filter((one) => one.kind !== "bad")];
}

/** [kind, text] of the whole: as `aggregator status` says it. */
export function wellness(status) {
  if (!status.ready) return ["bad", "Not ready"];
  return status.health?.status === "healthy" ? ["good", "Ready"] : ["warn", "Ready, degraded"];
}

/** When the whole began to be unwell; null: it is well, or unknown. */
export function unwellSince(status) {
  const times = Object.values(status.health?.dependencies ?? {}).filter((one) => one?.status !== "healthy" && one?.since).map((one) => one.since);
  return times.sort()[0] ?? null;
}
export const unwellText = (since) => (since ? ` since ${time(since).slice(11)} UTC (${duration(Math.max(0, (Date.now() - Date.parse(since)) / 1000))})` : "");
