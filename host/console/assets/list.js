// list: a list of any length, of which only the rows in sight are elements. Rows have one height.
import { h, replace } from "./dom.js";

export const ROW_HEIGHT = 54;
const BEYOND = 6; // rows kept above and below what is in sight

/**
 * options: label; row(item) → contents of the row's button; key(item); onOpen(item); onSelect();
 * onEnd(): the end of the list came into sight; selects: with check boxes.
 * Returns {element, set(items), selected, select(all), items}.
 */
export function list({ label, row, key, onOpen, onSelect, onEnd, selects }) {
  let items = [];
  let active = 0;
  const selected = new Set();
  const shown = new Map(); // index → element
  const space = h("div", { class: "list-space", role: "list", "aria-label": label });
  const element = h("div", { class: "list", "data-list": "" }, space);

  function makeRow(index) {
    const item = items[index];
    const id = key(item);
    const box = selects && h("input", { type: "checkbox", "aria-label": `Select ${id}`.slice(0, 200), checked: selected.has(id),
      onchange: () => toggle(id, box.checked) });
    const button = h("button", { type: "button", class: "row", "data-row": "", tabindex: index === active ? "0" : "-1",
      onclick: () => { active = index; onOpen(item); }, onfocus: () => { active = index; } }, row(item));
    const made = h("div", { class: "list-row", role: "listitem", "aria-posinset": index + 1, "aria-setsize": items.length }, box, button);
    made.style.top = `${index * ROW_HEIGHT}px`;
    space.append(made);
    shown.set(index, made);
  }

  function render() {
    const first = Math.max(0, Math.floor(element.scrollTop / ROW_HEIGHT) - BEYOND);
    const last = Math.min(items.length - 1, Math.ceil((element.scrollTop + element.clientHeight) / ROW_HEIGHT) + BEYOND);
    for (const [index, made] of shown) {
      if ((index < first || index > last) && !made.contains(document.activeElement)) {
        made.remove();
        shown.delete(index);
      }
    }
    for (let index = first; index <= last; index++) if (!shown.has(index)) makeRow(index);
    if (items.length > 0 && last >= items.length - 1 - BEYOND) onEnd?.();
  }

  function toggle(id, on) {
    if (on) selected.add(id);
    else selected.delete(id);
    onSelect?.();
  }

  function focusRow(index) {
    active = Math.min(items.length - 1, Math.max(0, index));
    if (active < 0) return;
    const top = active * ROW_HEIGHT;
    if (top < element.scrollTop) element.scrollTop = top;
    else if (top + ROW_HEIGHT > element.scrollTop + element.clientHeight) element.scrollTop = top + ROW_HEIGHT - element.clientHeight;
    render();
    shown.get(active)?.querySelector("[data-row]").focus({ preventScroll: true });
  }

  const hasFocus = () => element.contains(document.activeElement);
  const page = () => Math.max(1, Math.floor(element.clientHeight / ROW_HEIGHT) - 1);
  const steps = { ArrowDown: () => active + 1, ArrowUp: () => active - 1, PageDown: () => active + page(),
    PageUp: () => active - page(), Home: () => 0, End: () => items.length - 1 };

  element.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (steps[event.key]) focusRow(steps[event.key]());
    else if (event.key === "x" && selects && items[active]) {
      const box = shown.get(active)?.querySelector("input");
      if (box) { box.checked = !box.checked; toggle(key(items[active]), box.checked); }
    } else return;
    event.preventDefault();
  });
  element.addEventListener("move", (event) => focusRow(hasFocus() ? active + event.detail : active));
  element.addEventListener("scroll", render, { passive: true });
  const observer = new ResizeObserver(render);
  observer.observe(element);

  function redraw() {
    shown.clear();
    replace(space);
    space.style.height = `${items.length * ROW_HEIGHT}px`;
    element.style.height = `${Math.min(items.length * ROW_HEIGHT + 2, Math.max(320, window.innerHeight - 220))}px`;
    render();
  }

  return {
    element, selected,
    get items() { return items; },
    /** Keeps the place in the list, and what is selected and still there. */
    set(fresh) {
      items = fresh;
      const ids = new Set(items.map(key));
      for (const id of selected) if (!ids.has(id)) selected.delete(id);
      active = Math.min(active, Math.max(0, items.length - 1));
      const focused = hasFocus();
      redraw();
      if (focused) focusRow(active);
    },
    select(all) {
      selected.clear();
      if (all) items.forEach((item) => selected.add(key(item)));
      redraw();
      onSelect?.();
    },
    focus: () => focusRow(active),
    step(by) {
      active = Math.min(items.length - 1, Math.max(0, active + by));
      return items[active];
    },
    stop: () => observer.disconnect(),
  };
}
