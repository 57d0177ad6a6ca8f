// diff: the lines that differ between two texts, with some around them.
import { count, data, h, pill, visible } from "./dom.js";

const AROUND = 3;
const CELLS_MAX = 4e6; // of the table below: 2,000 by 2,000 lines that differ

/** [kind, text, old number, new number]; kind "=", "-" or "+". By the longest common subsequence. */
export function compareLines(before, after) {
  const a = before === "" ? [] : before.replace(/\n$/, "").split("\n");
  const b = after === "" ? [] : after.replace(/\n$/, "").split("\n");
  let start = 0, end = 0;
  while (start < a.length && start < b.length && a[start] === b[start]) start++;
  while (end < a.length - start && end < b.length - start && a[a.length - 1 - end] === b[b.length - 1 - end]) end++;
  const n = a.length - start - end, m = b.length - start - end;
  const lines = [];
  const same = (i, j) => lines.push(["=", a[i], i + 1, j + 1]);
  for (let i = 0; i < start; i++) same(i, i);
  if (n * m > CELLS_MAX) {
    for (let i = start; i < start + n; i++) lines.push(["-", a[i], i + 1, null]);
    for (let j = start; j < start + m; j++) lines.push(["+", b[j], null, j + 1]);
  } else {
    const width = m + 1, length = new Uint16Array((n + 1) * width);
    for (let i = n - 1; i >= 0; i--) {
      for (let j = m - 1; j >= 0; j--) {
        length[i * width + j] = a[start + i] === b[start + j] ? length[(i + 1) * width + j + 1] + 1
          : Math.max(length[(i + 1) * width + j], length[i * width + j + 1]);
      }
    }
    let i = 0, j = 0;
    while (i < n || j < m) {
      if (i < n && j < m && a[start + i] === b[start + j]) same(start + i++, start + j++);
      else if (j === m || (i < n && length[(i + 1) * width + j] >= length[i * width + j + 1])) lines.push(["-", a[start + i], start + ++i, null]);
      else lines.push(["+", b[start + j], null, start + ++j]);
    }
  }
  for (let i = 0; i < end; i++) same(a.length - end + i, b.length - end + i);
  return lines;
}

function tableOf(lines) {
  const near = new Set();
  lines.forEach(([kind], at) => { if (kind !== "=") for (let i = at - AROUND; i <= at + AROUND; i++) near.add(i); });
  const rows = [];
  let left = 0;
  const gap = () => {
    if (left > 0) rows.push(h("tr", { class: "gap" }, h("td", { colspan: 4 }, `${count(left)} equal line${left === 1 ? "" : "s"}`)));
    left = 0;
  };
  lines.forEach(([kind, text, old, fresh], at) => {
    if (!near.has(at)) {
      left++;
      return;
    }
    gap();
    rows.push(h("tr", { class: kind === "-" ? "removed" : kind === "+" ? "added" : "" }, h("td", { class: "line-number" }, old ?? ""),
      h("td", { class: "line-number" }, fresh ?? ""), h("td", { class: "sign" }, kind === "=" ? " " : kind), h("td", { class: "code" }, visible(text))));
  });
  gap();
  return h("table", { class: "diff" }, h("tbody", {}, rows));
}

/** One file: {path, before, after}; null: the set has no such file. */
export function fileDiff({ path, before, after }, isOpen) {
  const lines = compareLines(before ?? "", after ?? "");
  const added = lines.filter(([kind]) => kind === "+").length, removed = lines.filter(([kind]) => kind === "-").length;
  const [kind, word] = before === null ? ["good", "added"] : after === null ? ["bad", "removed"] : ["info", "changed"];
  return h("details", { class: "file", open: isOpen }, h("summary", {}, pill(kind, word), data(path, 200),
    h("span", { class: "counts" }, h("span", { class: "plus" }, `+${added}`), " ", h("span", { class: "minus" }, `−${removed}`))),
  h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": `Changes of ${path}` }, tableOf(lines)));
}
