// drawer: the details of a row, beside the list. Its contents change while it is open.
import { h, replace, setText, visible } from "./dom.js";

/** Returns {show(title, content, buttons), close, isOpen}. onClose(): it was closed. */
export function drawer(onClose) {
  const title = h("h2", { id: "drawer-title", tabindex: "-1" });
  const body = h("div", { class: "drawer-body stack" });
  const actions = h("div", { class: "buttons" });
  const close = () => element.close();
  const element = h("dialog", { class: "drawer", "aria-labelledby": "drawer-title" },
    h("div", { class: "drawer-head" }, title, h("button", { type: "button", class: "plain", "aria-label": "Close", onclick: close }, "✕")),
    body, actions);
  element.addEventListener("close", () => { element.remove(); onClose?.(); });
  element.addEventListener("click", (event) => { if (event.target === element) close(); });
  return {
    close,
    get isOpen() { return element.open; },
    show(text, content, buttons) {
      setText(title, visible(text).slice(0, 200));
      replace(body, content);
      replace(actions, buttons);
      actions.hidden = buttons.length === 0;
      if (!element.isConnected) document.body.append(element);
      if (!element.open) {
        element.showModal();
        title.focus();
      }
    },
  };
}
