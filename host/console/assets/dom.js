// dom: elements, and texts from outside. No function here parses HTML: what comes from the program
// becomes text nodes, and Trusted Types (the page's CSP) forbid the rest.

const SVG = "http://www.w3.org/2000/svg";

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name in element && typeof value === "boolean") element[name] = value;
    else if (value !== undefined && value !== null && value !== false) element.setAttribute(name, value);
  }
  append(element, children);
  return element;
}

/** Appends texts and elements; null, undefined and false are left out. */
export function append(element, children) {
  for (const child of [children].flat(Infinity)) {
    if (child !== null && child !== undefined && child !== false) element.append(child);
  }
}

/** h("p", {class: "x", onclick: f}, "text", element…) */
export const h = (tag, attributes, ...children) => fill(document.createElement(tag), attributes, children);
export const svg = (tag, attributes, ...children) =>
  fill(document.createElementNS(SVG, tag), attributes, children);

export function replace(element, ...children) {
  element.replaceChildren();
  append(element, children);
  return element;
}

/** The same, by the least changes: the focus, a selection and a screen reader are left alone. What
 * stays keeps its listeners. */
export function update(element, ...children) {
  const made = element.cloneNode(false);
  append(made, children);
  patch(element, made);
}

function patch(element, made) {
  if (made.isEqualNode(element)) return;
  const before = [...element.childNodes], after = [...made.childNodes];
  if (before.length !== after.length || before.some((node, i) => node.nodeName !== after[i].nodeName)) {
    element.replaceChildren(...after);
    return;
  }
  before.forEach((node, i) => {
    if (node.nodeType === Node.TEXT_NODE) {
      if (node.data !== after[i].data) node.data = after[i].data;
      return;
    }
    for (const { name } of [...node.attributes]) if (!after[i].hasAttribute(name)) node.removeAttribute(name);
    for (const { name, value } of after[i].attributes) if (node.getAttribute(name) !== value) node.setAttribute(name, value);
    patch(node, after[i]);
  });
}

/** Sets a text only if it differs, so that a selection and a screen reader are left alone. */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

// What has no shape of its own, or changes the order of what surrounds it: controls but tab and
// line feed, marks of direction, joiners, separators, tags, lone surrogates.
const UNSEEN = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]|[\u{e0000}-\u{e007f}]|\p{Cs}/gu;

/** The text with a visible name, such as <U+202E>, for each character that would be unseen. */
export function visible(text) {
  return String(text).replace(UNSEEN, (c) =>
    `<U+${c.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}>`);
}

/** The first `most` characters of a text from outside, isolated from the direction around it. */
export function data(text, most = 200) {
  if (text === null || text === undefined || text === "") return h("span", { class: "none" }, "none");
  const whole = visible(text);
  const short = whole.length > most ? `${whole.slice(0, most)}…` : whole;
  return h("bdi", { class: "data", title: whole.length > 24 ? whole.slice(0, 500) : null }, short);
}

/** A long name whose end matters, as of a place in a topic: the beginning gives way. */
export function placeOf(topic, rest) {
  return h("span", { class: "place", title: visible(`${topic}${rest}`).slice(0, 500) }, data(topic, 250), h("span", { class: "data" }, visible(rest)));
}

/** The same in full, over several lines; a long text opens on request. */
export function block(text, most = 4000) {
  if (text === null || text === undefined) return h("span", { class: "none" }, "none");
  const whole = visible(text);
  const pre = h("pre", { class: "block", tabindex: "0" }, whole.slice(0, most));
  if (whole.length <= most) return pre;
  const more = h("button", {
    type: "button", class: "small",
    onclick: () => { setText(pre, whole); more.remove(); },
  }, `Show all ${count(whole.length)} characters`);
  return h("div", { class: "stack tight" }, pre, more);
}

/** A definition list of [name, value or element] pairs. */
export const facts = (pairs) => h("dl", { class: "facts" },
  pairs.filter(Boolean).map(([name, value]) => h("div", {}, h("dt", {}, name),
    h("dd", {}, value instanceof Node ? value : data(value)))));

export const panel = (title, ...children) => h("section", { class: "panel" },
  title && h("h2", {}, title), children);

export const empty = (title, text) => h("div", { class: "empty" }, h("strong", {}, title), text && h("p", {}, text));
export const loading = (what) => h("div", { class: "empty", role: "status" },
  h("span", { class: "spinner", "aria-hidden": "true" }), `Loading ${what}…`);
export const failure = (error, again) => h("div", { class: "notice bad", role: "alert" },
  h("strong", {}, "This could not be loaded"), h("p", {}, visible(error.message)),
  again && h("button", { type: "button", onclick: again }, "Try again"));

export const pill = (kind, text) => h("span", { class: `pill ${kind}` }, text);

// ---- numbers and times ---------------------------------------------------------------------------

const whole = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 });
export const count = (n) => (n === null || n === undefined ? "–" : whole.format(n));
export const plural = (n, noun, many = `${noun}s`) => `${count(n)} ${n === 1 ? noun : many}`;

/** A rate or share: three digits that matter. */
export function number(n) {
  if (n === null || n === undefined) return "–";
  if (n === 0) return "0";
  if (Math.abs(n) >= 1e6) return `${(n / 1e6).toPrecision(3)} M`;
  if (Math.abs(n) >= 1e4) return `${(n / 1e3).toPrecision(3)} k`;
  return Math.abs(n) >= 100 ? whole.format(n) : String(Number(n.toPrecision(2)));
}

/** A latency. */
export function seconds(s) {
  if (s === null || s === undefined) return "–";
  if (s === 0) return "0 s";
  if (s < 1e-3) return `${number(s * 1e6)} µs`;
  return s < 1 ? `${number(s * 1e3)} ms` : duration(s);
}

/** A time that has passed. */
export function duration(s) {
  if (s === null || s === undefined) return "–";
  if (s < 10) return `${Number(s.toFixed(1))} s`;
  if (s < 120) return `${Math.round(s)} s`;
  if (s < 7200) return `${Math.round(s / 60)} min`;
  return s < 172800 ? `${Math.round(s / 3600)} h` : `${Math.round(s / 86400)} d`;
}

/** 2026-11-30 02:10:48, always UTC, as in the log. */
export const time = (iso) => (iso ? String(iso).slice(0, 19).replace("T", " ") : "–");
export const clock = (ms) => new Date(ms).toISOString().slice(11, 19);
export const ago = (iso) => `${duration(Math.max(0, (Date.now() - Date.parse(iso)) / 1000))} ago`;
