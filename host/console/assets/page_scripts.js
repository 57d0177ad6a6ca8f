// Script generations: what runs, what is on the disk, what ran before; reload, shadow run, rollback.
import { get, listeners, live, post, askLiveAgain, query, turns } from "./api.js";
import { ago, block, count, data, empty, facts, failure, h, loading, panel, pill, plural, replace, seconds, time } from "./dom.js";
import { confirm, toast } from "./dialog.js";
import { fileDiff } from "./diff.js";

const LONG_MS = 900000; // a shadow run reads the log twice
const short = (hash) => h("code", { title: hash }, (hash ?? "").slice(0, 8));

/** What a reload, rollback or comparison answered. */
function outcome(verb, answer) {
  const list = (name, text) => answer[name]?.length > 0 && [text, h("ul", { class: "plain-list" }, answer[name].map((one) => h("li", {}, data(one, 200))))];
  const run = answer.shadow_run ?? (answer.events !== undefined ? answer : null);
  const equal = run && (run.equal ?? run.outcome === "equal");
  const kind = answer.done === true ? "good" : answer.error ? "bad" : run ? (equal ? "good" : "warn") : "warn";
  const word = answer.lost ? `${verb}: the outcome is unknown` : answer.done === true ? `${verb}: done` : answer.error ? `${verb}: refused, nothing was changed`
    : answer.reason ? `${verb}: ${answer.reason}` : `${verb}: finished`;
  return h("div", { class: `notice wide ${kind}` }, h("strong", {}, word),
    answer.error && block(answer.error),
    answer.lost && h("p", {}, "The program may have carried it out: compare what runs once it answers, then decide."),
    facts([answer.generation !== undefined && ["Runs now", h("span", {}, `${answer.generation} · `, short(answer.hash))],
      answer.took_ms !== undefined && ["Took", seconds(answer.took_ms / 1000)],
      answer.waiting_workers > 0 && ["Workers that have not switched", count(answer.waiting_workers)],
      list("changed", "Changed files"), list("settings", "Settings in use now"), list("needs_restart", "Settings that need a restart"), list("dropped", "Dropped topics, reactions and paths")].filter(Boolean)),
    run && h("details", { open: !equal }, h("summary", {}, "What the shadow run found"), block(JSON.stringify(run, null, 2), 8000)),
    !answer.lost && h("details", {}, h("summary", {}, "The whole response"), block(JSON.stringify(answer, null, 2), 8000)));
}

export const title = "Scripts";

export function mount(root) {
  const state = h("div", {}, loading("the generations"));
  const result = h("div", { class: "stack", role: "status", "aria-live": "polite" });
  const changes = h("div", { class: "stack" });
  const earlier = h("div", {});
  const events = h("input", { id: "events", inputmode: "numeric", pattern: "[0-9]*", placeholder: "as configured", maxlength: "7", autocomplete: "off" });
  const accept = h("input", { id: "accept", inputmode: "numeric", pattern: "[0-9]*", placeholder: "as configured", maxlength: "3", autocomplete: "off" });
  const drop = h("input", { type: "checkbox", id: "drop" });
  const compares = turns();
  let stopped = false, running = false;

  // ---- what changes something -------------------------------------------------------------------------
  const buttons = [];
  const button = (text, kind, onclick) => {
    const made = h("button", { type: "button", class: kind, onclick });
    made.append(text);
    buttons.push(made);
    return made;
  };
  async function run(verb, ask) {
    if (running) return;
    running = true;
    buttons.forEach((one) => { one.disabled = true; });
    const began = Date.now();
    replace(result, h("p", { class: "notice" }, h("span", {}, h("span", { class: "spinner inline", "aria-hidden": "true" }), ` ${verb} runs…`)));
    try {
      const answer = await ask();
      if (!stopped) replace(result, outcome(verb, answer));
      else toast(answer.done === false ? "bad" : "good", `${verb} finished after ${Math.round((Date.now() - began) / 1000)} s.`);
    } catch (error) {
      if (stopped) toast("bad", `${verb} failed: ${error.message}`);
      else replace(result, error.body?.done === false ? outcome(verb, error.body) : outcome(verb, { error: error.message, lost: error.status === 0 }));
    }
    running = false;
    buttons.forEach((one) => { one.disabled = false; });
    askLiveAgain();
    compares();
    replace(changes);
  }

  const reload = (shadow) => async () => {
    const sure = await confirm({ title: shadow ? "Reload after a shadow run?" : "Reload the scripts?", action: "Reload", danger: drop.checked,
      consequence: ["The scripts, queries and settings on the disk are checked, and replace the running ones in this process. If a check fails, nothing changes.",
        shadow && "First both sets handle the newest events of Kafka beside each other. Too many differences refuse the reload.",
        drop.checked && "Topics, reactions and paths that the new set lacks are dropped: their events are no longer read, their facts no longer published, their paths answer 404."].filter(Boolean) });
    if (!sure) return;
    run(shadow ? "Reload after a shadow run" : "Reload", () => post(`/admin/reload${query({ drop: drop.checked ? "true" : "",
      ...(shadow ? { shadow_run: "true", events: events.value.trim(), accept: accept.value.trim() } : {}) })}`, { timeoutMs: LONG_MS }));
  };
  const rollBack = (hash, text) => async () => {
    if (await confirm({ title: `Roll back to ${text}?`, action: "Roll back", danger: true,
      consequence: ["These scripts replace the running ones in this process, at once and without a new check of their names. The files on the disk stay as they are: the next reload or restart runs those.",
        "The settings of the running configuration stay."] })) {
      run("Rollback", () => post(hash ? `/admin/rollback/${hash}` : "/admin/rollback", { timeoutMs: LONG_MS }));
    }
  };
  const shadowRun = () => run("Shadow run", () => post(`/admin/diff${query({ events: events.value.trim() })}`, { timeoutMs: LONG_MS }));

  // ---- what differs -----------------------------------------------------------------------------------
  async function compare(from, to, text) {
    const isLast = compares();
    replace(changes, loading("the changes"));
    changes.scrollIntoView({ block: "nearest" });
    try {
      const answer = await get(`/admin/script-changes${query({ from, to })}`, { timeoutMs: 60000 });
      if (!isLast()) return;
      replace(changes, panel(text, answer.files.length === 0 ? empty("No difference", "Every script and query is the same.")
        : [h("p", { class: "quiet" }, `${plural(answer.files.length, "file")} · `, short(answer.from), " → ", short(answer.to)),
          answer.files.map((file) => fileDiff(file, answer.files.length <= 5))]));
    } catch (error) {
      if (isLast()) replace(changes, failure(error, () => compare(from, to, text)));
    }
  }

  // ---- the state --------------------------------------------------------------------------------------
  function rows(status) {
    const known = new Map();
    for (const one of status.generations ?? []) known.set(one.hash, { ...one, at: one.since });
    for (const one of status.stored_generations ?? []) known.set(one.hash, { generation: null, running: false, at: one.last_ran_at, ...known.get(one.hash), hash: one.hash });
    return [...known.values()];
  }
  let drawn = "";
  const previous = h("button", { type: "button", class: "small danger", disabled: true, onclick: rollBack("", "the scripts before these") }, "Roll back to the one before…");
  function draw() {
    const { status } = live;
    if (!status) return;
    const text = JSON.stringify([status.generations, status.stored_generations, status.reloads_under_way, status.before_start, status.scripts_agree]);
    if (text === drawn) return;
    drawn = text;
    const now = status.generations?.find((one) => one.running);
    replace(state, facts([["Generation", h("strong", { class: "big" }, String(now?.generation ?? "–"))], ["Hash", now?.hash],
      ["Since (UTC)", h("span", {}, `${time(now?.since)} (${now ? ago(now.since) : "–"})`)],
      ["Processes", status.scripts_agree === null ? "unknown" : status.scripts_agree ? pill("good", "all run the same") : pill("warn", "they differ")],
      status.before_start && ["Before the start", h("span", {}, status.before_start.hash ? [short(status.before_start.hash), status.before_start.same ? ", the same" : ", other scripts"] : "nothing")]]),
    (status.reloads_under_way ?? []).map((one) => h("p", { class: "notice" }, h("span", {}, `Under way since ${time(one.since)}: `, data(one.step ?? one.verb ?? "reload", 200)))));
    const list = rows(status);
    previous.disabled = !list.some((one) => !one.running);
    replace(earlier, list.length === 0 ? empty("None", "") : h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Sets of scripts" }, h("table", {},
      h("thead", {}, h("tr", {}, ["Set", "Last ran (UTC)", "Where", ""].map((name) => h("th", { scope: "col" }, name)))),
      h("tbody", {}, list.map((one) => h("tr", {}, h("th", { scope: "row" }, one.generation !== null && `${one.generation} · `, short(one.hash), one.running && [" ", pill("good", "runs")]),
        h("td", { class: "moment" }, time(one.at)), h("td", {}, one.generation !== null ? "memory" : "database"),
        h("td", { class: "row-actions" }, !one.running && [h("button", { type: "button", class: "small", onclick: () => compare(one.hash, "running", `From ${one.hash.slice(0, 8)} to what runs`) }, "Changes"),
          h("button", { type: "button", class: "small danger", onclick: rollBack(one.hash, one.hash.slice(0, 8)) }, "Roll back…")])))))));
  }

  root.append(panel("Running", state), panel("On the disk",
    h("div", { class: "bar" }, h("div", { class: "buttons" }, button("Compare with what runs", "", () => compare("running", "disk", "From what runs to the disk")),
      button("Reload…", "primary", reload(false)))),
    h("label", { class: "check" }, drop, "The set may lack topics, reactions and paths of the running one"),
    h("div", { class: "bar" }, h("div", { class: "field" }, h("label", { for: "events" }, "Events of the shadow run"), events),
      h("div", { class: "field" }, h("label", { for: "accept" }, "Accepted differences (percent)"), accept),
      h("div", { class: "buttons" }, button("Shadow run", "", shadowRun), button("Reload after a shadow run…", "", reload(true))))),
  result, changes, h("section", { class: "panel flush" }, h("div", { class: "heading bar center" }, h("h2", {}, "Sets that have run"),
    previous), earlier));
  listeners.add(draw);
  draw();
  return () => {
    stopped = true;
    compares();
    listeners.delete(draw);
  };
}
