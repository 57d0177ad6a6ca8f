// dialog: questions before something is changed, and short messages. <dialog> keeps the focus inside
// and closes on Escape; the focus returns to where it was.
import { h, visible } from "./dom.js";

/** Shows a dialog with the content; resolves to the value that a button closed it with, or null. */
export function open(title, content, buttons) {
  return new Promise((resolve) => {
    const before = document.activeElement;
    const heading = h("h2", { id: "dialog-title" }, title);
    const row = h("div", { class: "buttons" }, buttons.map(({ text, value, kind, focus }) =>
      h("button", { type: "button", class: kind, autofocus: focus === true,
        onclick: () => dialog.close(value) }, text)));
    const dialog = h("dialog", { "aria-labelledby": "dialog-title" }, heading, content, row);
    dialog.addEventListener("close", () => {
      dialog.remove();
      if (before?.isConnected) before.focus();
      resolve(dialog.returnValue || null);
    });
    dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(""); });
    document.body.append(dialog);
    dialog.showModal();
  });
}

/** Asks before something is changed. `consequence`: what happens, and whether it can be undone. */
export async function confirm({ title, consequence, action, danger = true }) {
  return await open(title, h("div", { class: "stack" }, [consequence].flat().map((part) =>
    (part instanceof Node ? part : h("p", {}, part)))), [
    { text: "Cancel", value: "", focus: true },
    { text: action, value: "yes", kind: danger ? "danger" : "primary" },
  ]) === "yes";
}

const region = h("div", { class: "toasts", role: "status", "aria-live": "polite" });

/** A short message; errors stay longer. */
export function toast(kind, text) {
  if (!region.isConnected) document.body.append(region);
  const close = () => box.remove();
  const box = h("div", { class: `toast ${kind}` }, h("span", {}, visible(text)),
    h("button", { type: "button", class: "plain", "aria-label": "Close this message", onclick: close }, "×"));
  region.append(box);
  while (region.children.length > 4) region.firstChild.remove();
  setTimeout(close, kind === "bad" ? 20000 : 6000);
}
