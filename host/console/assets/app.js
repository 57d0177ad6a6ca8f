// app: sign-in, the frame around the pages, the address, the keyboard.
import { askLiveAgain, call, events, get, listeners, live, startLive, stopLive } from "./api.js";
import { clock, count, duration, h, replace, setText, svg, visible } from "./dom.js";
import { open, toast } from "./dialog.js";
import { concerns, wellness } from "./concerns.js";
import * as explain from "./page_explain.js";
import * as outbox from "./page_outbox.js";
import * as overview from "./page_overview.js";
import * as partitions from "./page_partitions.js";
import * as rejected from "./page_rejected.js";
import * as scripts from "./page_scripts.js";
import * as tap from "./page_tap.js";
import * as warnings from "./page_warnings.js";

const PAGES = [
  { name: "overview", key: "o", page: overview, icon: "M2 11l4-5 3 3 5-6" },
  { name: "partitions", key: "p", page: partitions, icon: "M2.5 3h11v3h-11zM2.5 6h11v3.500h-11zM2.500 9.500h11V13h-11z" },
  { name: "scripts", key: "s", page: scripts, icon: "M5.500 4.500L2 8l3.500 3.500M10.500 4.500L14 8l-3.500 3.500" },
  { name: "rejected", key: "e", page: rejected, icon: "M8 2l6.500 11.500h-13zM8 6.500v3.500M8 11.800v.1" },
  { name: "explain", key: "x", page: explain, icon: "M7 2.500a4.500 4.500 0 1 1 0 9 4.500 4.500 0 0 1 0-9zM10.300 10.300L14 14" },
  { name: "live", key: "l", page: tap, icon: "M1.500 8h3l2-5 3 10 2-5h3" },
  { name: "outbox", key: "m", page: outbox, icon: "M2 9l2-6h8l2 6v4H2zM2 9h3.500l1 2h3l1-2H14" },
  { name: "warnings", key: "w", page: warnings, icon: "M8 2a4 4 0 0 1 4 4v3l1.500 2.500h-11L4 9V6a4 4 0 0 1 4-4zM6.500 13.500h3" },
];

const app = document.getElementById("app");

// ---- preferences, in this browser only ----------------------------------------------------------------

function preference(name, fallback) {
  try {
    return localStorage.getItem(`console.${name}`) ?? fallback;
  } catch {
    return fallback;
  }
}
function setPreference(name, value) {
  try {
    localStorage.setItem(`console.${name}`, value);
  } catch { /* the browser keeps nothing: the choice lasts until the page is left */ }
}

const THEMES = ["auto", "light", "dark"];
let theme = preference("theme", "auto");
function applyTheme() {
  document.documentElement.dataset.theme = THEMES.includes(theme) ? theme : "auto";
}
function nextTheme() {
  theme = THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length];
  setPreference("theme", theme);
  applyTheme();
  document.querySelectorAll("[data-theme-name]").forEach((element) => setText(element, theme));
}
applyTheme();

// ---- sign-in ------------------------------------------------------------------------------------------

/** A text whose characters are the bytes of UTF-8: fetch writes those of a header as ISO-8859-1. */
const utf8 = (text) => String.fromCharCode(...new TextEncoder().encode(text));

function refusal(key) {
  const hint = /[^ -~]/.test(key) ? " It has characters beyond ASCII: check the keyboard's layout." : "";
  return `This is none of the administration's keys (admin.keys).${hint}`;
}

function showSignIn(message) {
  leavePage();
  stopLive();
  const problem = h("p", { class: "notice bad", role: "alert", id: "sign-in-problem", hidden: !message }, message ?? "");
  const key = h("input", { type: "password", id: "key", name: "key", autocomplete: "current-password", required: true,
    maxlength: "255", spellcheck: "false", "aria-describedby": "sign-in-help" });
  const button = h("button", { type: "submit", class: "primary" }, "Sign in");
  const say = (text) => { setText(problem, text); problem.hidden = !text; };
  async function submit(event) {
    event.preventDefault();
    if (/[\0-\x1f\x7f]/.test(key.value)) { // of a header field
      say("A key has no control characters.");
      key.select();
      return;
    }
    button.disabled = true;
    say("");
    try {
      await call("POST", "/console/session", { headers: { Authorization: `Bearer ${utf8(key.value)}` } });
      key.value = "";
      enter();
    } catch (error) {
      button.disabled = false;
      say(error.status === 401 ? refusal(key.value) : visible(error.message));
      key.select();
    }
  }
  replace(app, h("main", { class: "sign-in" }, h("form", { class: "panel", onsubmit: submit },
    h("div", { class: "brand" }, logo(), h("span", {}, "aggregator")), h("h1", {}, "Sign in to the console"), problem,
    h("input", { type: "text", name: "username", value: "admin", autocomplete: "username", hidden: true }),
    h("label", { for: "key" }, "Admin key"), key,
    h("p", { id: "sign-in-help", class: "help" }, "One of ", h("code", {}, "admin.keys"), " of the running program. The session ends after 30 minutes without use and 12 hours at most."),
    button)));
  app.removeAttribute("aria-busy");
  document.title = "Sign in · aggregator";
  key.focus();
}

async function signOut() {
  try {
    await call("DELETE", "/console/session", { headers: {} });
    showSignIn();
  } catch (error) {
    toast("bad", `Not signed out: ${error.message}`);
  }
}

// ---- the frame ----------------------------------------------------------------------------------------

const icon = (path) => svg("svg", { viewBox: "0 0 16 16", class: "icon", "aria-hidden": "true" }, svg("path", { d: path }));
function logo() {
  return svg("svg", { viewBox: "0 0 16 16", class: "logo", "aria-hidden": "true" },
    svg("rect", { width: 16, height: 16, rx: 4 }), svg("path", { d: "M3 11l3-4 3 2 4-5" }));
}

let frame = null;
let unmount = null;

function leavePage() {
  unmount?.();
  unmount = null;
}

function makeFrame() {
  const links = new Map(PAGES.map((one) => [one.name, h("a", { href: `#/${one.name}` }, icon(one.icon), h("span", {}, one.page.title))]));
  const state = h("span", { class: "pill", id: "state" }, "…");
  const service = h("span", { class: "service" });
  const banner = h("div", { class: "banner", role: "alert", hidden: true });
  const heading = h("h1", { tabindex: "-1" });
  const main = h("main", { id: "main" });
  const content = h("div", { class: "content" }, banner, heading, main);
  replace(app,
    h("a", { class: "skip", href: "#main", onclick: (event) => { event.preventDefault(); heading.focus(); } }, "Skip to the content"),
    h("header", { class: "top" }, h("div", { class: "brand" }, logo(), h("span", {}, "aggregator")), service, state,
      h("div", { class: "tools" },
        h("button", { type: "button", class: "plain", onclick: showHelp, title: "Keyboard shortcuts (?)", "aria-label": "Keyboard shortcuts" }, "?"),
        h("button", { type: "button", class: "plain", onclick: nextTheme, title: "Colours (t)" }, "Theme: ", h("span", { "data-theme-name": "" }, theme)),
        h("button", { type: "button", class: "plain", onclick: signOut }, "Sign out"))),
    h("div", { class: "body" }, h("nav", { "aria-label": "Pages" }, [...links.values()]), content));
  app.removeAttribute("aria-busy");
  return { links, state, service, banner, heading, main };
}

/** What waits for somebody, beside the page's name. */
function updateBadges(status) {
  const found = concerns(status, live.figures);
  const counts = { outbox: status.outbox?.failed, warnings: found.length };
  for (const [name, n] of Object.entries(counts)) {
    const link = frame.links.get(name);
    const badge = link.querySelector(".badge") ?? link.appendChild(h("span", { class: "badge" }));
    badge.hidden = !(n > 0);
    badge.classList.toggle("warn", name === "warnings" && !found.some(({ kind }) => kind === "bad"));
    setText(badge, n > 0 ? count(n) : "");
  }
}

function updateFrame() {
  if (!frame) return;
  const { status, lost } = live;
  frame.banner.hidden = lost === null;
  document.body.classList.toggle("stale", lost !== null);
  if (lost !== null) {
    setText(frame.banner, `The program does not answer. What is shown is from ${clock(lost)} UTC, ${duration((Date.now() - lost) / 1000)} ago. Trying again every few seconds.`);
  }
  const [kind, text] = lost !== null ? ["bad", "no answer"] : !status ? ["", "…"] : wellness(status);
  frame.state.className = `pill ${kind}`;
  setText(frame.state, kind === "warn" ? "degraded" : text.toLowerCase());
  if (status) {
    updateBadges(status);
    setText(frame.service, visible(status.health?.service ?? ""));
  }
}

// ---- the address ----------------------------------------------------------------------------------------

function parseAddress() {
  const [path, search] = location.hash.replace(/^#\/?/, "").split("?");
  return { entry: PAGES.find((one) => one.name === path) ?? PAGES[0], params: new URLSearchParams(search ?? "") };
}

function showPage(moved) {
  if (!frame) return;
  const { entry, params } = parseAddress();
  leavePage();
  replace(frame.main);
  for (const [name, link] of frame.links) {
    if (name === entry.name) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  setText(frame.heading, entry.page.title);
  document.title = `${entry.page.title} · aggregator`;
  frame.links.get(entry.name).scrollIntoView({ block: "nearest", inline: "nearest" });
  unmount = entry.page.mount(frame.main, params) ?? null;
  if (moved) frame.heading.focus({ preventScroll: true }); // a screen reader says where it is
  window.scrollTo(0, 0);
}

function enter() {
  frame = makeFrame();
  startLive();
  updateFrame();
  showPage();
}

// ---- the keyboard ---------------------------------------------------------------------------------------

let shortcuts = preference("shortcuts", "on") === "on";
let pressedG = 0;

function showHelp() {
  const keys = [["g then a letter", PAGES.map((one) => `${one.key} ${one.page.title.toLowerCase()}`).join(", ")],
    ["/", "to the filter of the page"], ["j, k", "to the next and the previous row of a list; Enter opens it"],
    ["r", "load again"], ["t", "colours: as the system, light, dark"], ["?", "this list"], ["Escape", "close"]];
  const toggle = h("input", { type: "checkbox", id: "shortcuts", checked: shortcuts, onchange: () => {
    shortcuts = toggle.checked;
    setPreference("shortcuts", shortcuts ? "on" : "off");
  } });
  open("Keyboard shortcuts", h("div", { class: "stack" }, h("dl", { class: "keys" }, keys.map(([key, text]) =>
    h("div", {}, h("dt", {}, h("kbd", {}, key)), h("dd", {}, text)))),
  h("label", { class: "check" }, toggle, "Shortcuts of a single key")), [{ text: "Close", value: "", focus: true }]);
}

function moveInList(step) {
  const list = document.querySelector("[data-list]");
  if (list) {
    list.dispatchEvent(new CustomEvent("move", { detail: step }));
    return;
  }
  const rows = [...document.querySelectorAll("[data-row]")];
  const at = rows.indexOf(document.activeElement?.closest("[data-row]"));
  rows[Math.min(rows.length - 1, Math.max(0, at + step))]?.focus();
}

function onKey(event) {
  const typing = event.target.closest?.("input:not([type=checkbox]), textarea, select, dialog");
  if (!shortcuts || !frame || typing || event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
  const after = Date.now() - pressedG < 1500;
  pressedG = event.key === "g" && !after ? Date.now() : 0;
  const target = after && PAGES.find((one) => one.key === event.key);
  if (target) location.hash = `#/${target.name}`;
  else if (event.key === "?") showHelp();
  else if (event.key === "t") nextTheme();
  else if (event.key === "r") refresh();
  else if (event.key === "/") document.querySelector("[data-filter]")?.focus();
  else if (event.key === "j" || event.key === "k") moveInList(event.key === "j" ? 1 : -1);
  else return;
  event.preventDefault();
}

function refresh() {
  askLiveAgain();
  showPage();
}

// ---- start ----------------------------------------------------------------------------------------------

listeners.add(updateFrame);
setInterval(updateFrame, 1000);
window.addEventListener("hashchange", () => showPage(true));
document.addEventListener("keydown", onKey);
events.addEventListener("signed-out", () => {
  if (!frame) return;
  frame = null;
  document.querySelectorAll("dialog").forEach((dialog) => dialog.close(""));
  showSignIn("The session has ended: sign in again.");
});

try {
  const session = await get("/console/session");
  if (session.ends_in_s > 0) enter();
  else showSignIn();
} catch (error) {
  showSignIn(error.message);
}
