// stored: the pages of rejected events and of the outbox: a filtered list, its details, and what can
// be done to some of it or to all.
import { get, poll, post, query, turns } from "./api.js";
import { block, count, data, empty, facts, failure, h, loading, pill, plural, replace, setText } from "./dom.js";
import { confirm, open, toast } from "./dialog.js";
import { drawer } from "./drawer.js";
import { list } from "./list.js";

const PAGE = 200; // rows of one request
const IDS = 100; // of one request: the address must not become too long
const LONG_MS = 610000; // a retry runs the scripts

/** The value of an event or message: readable where it is JSON or text. */
function valueOf(found) {
  if (found.value_base64 === null || found.value_base64 === undefined) return h("p", { class: "none" }, "no value");
  const bytes = Uint8Array.from(atob(found.value_base64.replace(/\s/g, "")), (c) => c.charCodeAt(0));
  const cut = bytes.length < found.bytes;
  let text = new TextDecoder().decode(bytes);
  let kind = "text";
  try {
    text = JSON.stringify(JSON.parse(text), null, 2);
    kind = "JSON";
  } catch { /* shown as it is */ }
  return h("div", { class: "stack tight" },
    h("h3", {}, `Value · ${kind} · ${plural(found.bytes, "byte")}${cut ? `, the first ${count(bytes.length)} shown` : ""}`),
    block(text, 20000));
}

const chunks = (ids) => {
  const parts = [];
  for (let at = 0; at < ids.length;) {
    let to = at, length = 0;
    while (to < ids.length && to - at < IDS && length + encodeURIComponent(ids[to]).length < 6000) {
      length += encodeURIComponent(ids[to]).length + 3;
      to++;
    }
    to = Math.max(to, at + 1);
    parts.push(ids.slice(at, to));
    at = to;
  }
  return parts;
};

/**
 * about: noun; path; one (path of one); itemsKey; second {name, label}; states; row(item);
 * details(found) → [name, value] pairs; after(item) → parameters; total(groups);
 * actions [{text, path, danger, applies(item), question(n, of)}]; empty [title, text].
 */
export function storedPage(about, root, params) {
  const filters = { contains: params.get("contains") ?? "", topic: params.get("topic") ?? "",
    [about.second.name]: params.get(about.second.name) ?? "", state: params.get("state") ?? "" };
  const loads = turns(), shows = turns();
  let isCurrent = loads(); // whether the loaded items are still of the last load
  let items = [], groups = [], complete = false, busy = false, stopped = false, total = null;

  // ---- the filter -----------------------------------------------------------------------------------
  let typing;
  const contains = h("input", { type: "search", id: "contains", "data-filter": "", value: filters.contains, autocomplete: "off", spellcheck: "false",
    placeholder: about.containsHint, oninput: () => { clearTimeout(typing); typing = setTimeout(() => change({ contains: contains.value.trim() }), 300); } });
  const topic = h("input", { id: "topic", value: filters.topic, list: "topics", autocomplete: "off", spellcheck: "false", placeholder: "any",
    onchange: () => change({ topic: topic.value.trim() }) });
  const topics = h("datalist", { id: "topics" });
  const second = h("input", { id: "second", value: filters[about.second.name], list: "seconds", autocomplete: "off", spellcheck: "false", placeholder: "any",
    onchange: () => change({ [about.second.name]: second.value.trim() }) });
  const seconds = h("datalist", { id: "seconds" });
  const states = about.states && h("select", { id: "state", onchange: () => change({ state: states.value }) },
    h("option", { value: "" }, "any"), about.states.map((name) => h("option", { value: name, selected: filters.state === name }, name)));
  const field = (id, label, control, extra) => h("div", { class: `field ${extra ?? ""}` }, h("label", { for: id }, label), control);
  const again = h("button", { type: "button", onclick: () => load() }, "Load again");
  const form = h("form", { class: "bar", role: "search", onsubmit: (event) => event.preventDefault() },
    field("contains", "Contains", contains, "grow"), field("topic", "Topic", topic), field("second", about.second.label, second),
    states && field("state", "State", states), again, topics, seconds);

  function change(values) {
    Object.assign(filters, values);
    const address = `#/${about.page}${query(filters)}`;
    if (location.hash !== address) history.replaceState(null, "", address);
    load();
  }

  // ---- the list ---------------------------------------------------------------------------------------
  const chips = h("div", { class: "chips" });
  const summary = h("p", { class: "quiet", role: "status", "aria-live": "polite" });
  const news = h("button", { type: "button", class: "small", hidden: true, onclick: () => load() }, "The list has changed: load again");
  const box = h("input", { type: "checkbox", id: "select-all", onchange: () => view.select(box.checked) });
  const selection = h("div", { class: "buttons" });
  const place = h("div", {});
  const view = list({ label: about.title, row: about.row, key: (item) => String(item.id), selects: true,
    onOpen: (item) => show(item), onSelect: drawSelection, onEnd: () => more() });
  root.append(form, chips, h("section", { class: "panel flush" },
    h("div", { class: "heading bar center" }, h("label", { class: "check" }, box, h("span", {}, "Select what is loaded")), summary, news, selection), place));

  async function ask(extra) {
    return get(`${about.path}${query({ ...filters, limit: PAGE, ...extra })}`);
  }

  async function load() {
    if (stopped) return;
    const isLast = loads();
    isCurrent = isLast;
    if (items.length === 0) replace(place, loading(`${about.noun}s`));
    try {
      const answer = await ask();
      if (!isLast()) return;
      items = answer[about.itemsKey];
      groups = answer.groups;
      total = about.total(groups, filters);
      complete = items.length < PAGE;
      news.hidden = true;
      draw();
    } catch (error) {
      if (isLast()) {
        items = [];
        replace(place, failure(error, load));
        setText(summary, "");
      }
    }
  }

  async function more() {
    if (complete || busy || stopped) return;
    busy = true;
    const isLast = isCurrent;
    try {
      const answer = await ask(about.after(items.at(-1)));
      if (!isLast()) return;
      const known = new Set(items.map((item) => String(item.id)));
      const fresh = answer[about.itemsKey].filter((item) => !known.has(String(item.id)));
      complete = answer[about.itemsKey].length < PAGE;
      items = [...items, ...fresh];
      drawItems();
    } catch (error) {
      if (!isLast()) return;
      toast("bad", `The rest of the list could not be loaded: ${error.message}`);
      complete = true;
    } finally {
      busy = false;
    }
  }

  function draw() {
    replace(topics, [...new Set(groups.map((group) => group.topic))].map((name) => h("option", { value: name })));
    replace(seconds, [...new Set(groups.map((group) => group[about.second.name]).filter(Boolean))].map((name) => h("option", { value: name })));
    replace(chips, about.chips(groups).slice(0, 10).map(({ text, n, values, kind }) => h("button", { type: "button", class: `chip ${kind ?? ""}`,
      onclick: () => {
        change(values);
        topic.value = filters.topic;
        second.value = filters[about.second.name];
        if (states) states.value = filters.state;
      } }, h("span", { class: "chip-text" }, data(text, 60)), h("strong", {}, count(n)))));
    drawItems();
  }

  function drawItems() {
    if (items.length === 0) {
      const filtered = Object.values(filters).some(Boolean);
      replace(place, filtered ? empty("None matches the filter", "Change or clear it above.") : empty(...about.empty));
    } else if (!view.element.isConnected) replace(place, view.element);
    view.set(items);
    drawSummary();
    drawSelection();
  }

  function drawSummary() {
    const exact = !filters.contains && total !== null;
    setText(summary, items.length === 0 ? ""
      : exact && total > items.length ? `${plural(total, about.noun)}, ${count(items.length)} loaded`
        : `${plural(items.length, about.noun)}${complete ? "" : " loaded, more below"}`);
  }

  // ---- what can be done -------------------------------------------------------------------------------
  function drawSelection() {
    const n = view.selected.size;
    box.checked = n > 0 && n === items.length;
    box.indeterminate = n > 0 && n < items.length;
    const whole = n === 0 && items.length > 0 && !filters.contains && !filters.state;
    replace(selection, about.actions.map((action) => (n > 0
      ? h("button", { type: "button", class: action.danger ? "danger" : "", onclick: () => act(action, [...view.selected]) }, `${action.text} ${count(n)}…`)
      : h("button", { type: "button", class: action.danger ? "danger" : "", disabled: !whole, onclick: () => act(action, null) }, `${action.text} all…`))));
  }

  /** ids: null: all that the filter chooses. */
  async function act(action, ids) {
    const narrowed = [filters.topic && `topic ${filters.topic}`, filters[about.second.name] && `${about.second.label.toLowerCase()} ${filters[about.second.name]}`].filter(Boolean);
    const of = ids ? plural(ids.length, about.noun)
      : narrowed.length ? `all ${about.noun}s of ${narrowed.join(" and ")}` : `all ${about.noun}s`;
    const sure = await confirm({ title: `${action.text} ${of}?`, action: action.text, danger: action.danger !== false,
      consequence: [...action.consequence, !ids && "It applies to all of them when it begins, also to those that arrived since the list was loaded."].filter(Boolean) });
    if (!sure) return;
    const requests = ids ? chunks(ids).map((part) => ({ ids: part.join(",") }))
      : [narrowed.length ? { topic: filters.topic, [about.second.name]: filters[about.second.name] } : { all: "true" }];
    const answers = [];
    const note = h("p", { class: "notice", role: "status" }, h("span", {}, `${action.text}: running…`));
    place.before(note);
    try {
      for (const one of requests) answers.push(await post(`${action.path}${query(one)}`, { timeoutMs: LONG_MS }));
      action.report(answers);
    } catch (error) {
      const part = answers.length ? ` after ${count(answers.length)} of ${count(requests.length)} requests` : "";
      toast("bad", error.status === 0 ? `${action.text}: the outcome is unknown${part}. ${error.message} The list shows what is left once it answers.`
        : `${action.text} failed${part}: ${error.message}`);
    }
    note.remove();
    details.close();
    view.selected.clear();
    load();
  }

  // ---- one of them --------------------------------------------------------------------------------------
  const details = drawer(() => { if (!stopped && view.element.isConnected) view.focus(); });
  async function show(item) {
    const isLast = shows();
    const id = String(item.id);
    const buttons = [
      ...about.actions.filter((action) => !action.applies || action.applies(item)).map((action) =>
        h("button", { type: "button", class: action.danger ? "danger" : "", onclick: () => act(action, [id]) }, `${action.text}…`)),
      ...about.links(item), h("span", { class: "spread" }),
      h("button", { type: "button", "aria-label": "Previous", onclick: () => show(view.step(-1)) }, "↑"),
      h("button", { type: "button", "aria-label": "Next", onclick: () => show(view.step(1)) }, "↓"),
    ];
    details.show(id, loading("it"), buttons);
    try {
      const { found } = await get(`${about.one}${query({ ids: id })}`);
      if (!details.isOpen || !isLast()) return;
      if (found.length === 0) throw new Error("It is gone.");
      details.show(id, [facts(about.details(found[0])), about.blocks?.(found[0]), valueOf(found[0])], buttons);
    } catch (error) {
      if (details.isOpen && isLast()) details.show(id, failure(error, () => show(item)), buttons);
    }
  }

  // ---- news ---------------------------------------------------------------------------------------------
  async function askFirst() {
    if (items.length === 0 && total === null) return null;
    const isLast = isCurrent;
    const answer = await ask({ limit: 1 });
    return isLast() ? answer : null;
  }
  const watch = poll(askFirst, 10000, (answer) => {
    if (!answer) return;
    const first = answer[about.itemsKey][0];
    news.hidden = String(first?.id) === String(items[0]?.id) && about.total(answer.groups, filters) === total;
  });
  load();
  return () => {
    stopped = true;
    loads();
    clearTimeout(typing);
    watch.stop();
    view.stop();
    if (details.isOpen) details.close();
  };
}

export { open, pill };
