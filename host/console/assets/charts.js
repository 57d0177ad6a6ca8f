// charts: small line charts in SVG, drawn from lists of numbers; null is a gap.
import { clock, h, setText, svg } from "./dom.js";

const WIDTH = 300, HEIGHT = 64;

/** 1, 2 or 5 times a power of ten, not below `most`. */
function niceTop(most) {
  if (!(most > 0)) return 1;
  const power = 10 ** Math.floor(Math.log10(most));
  return [1, 2, 5, 10].map((step) => step * power).find((top) => top >= most * 0.999);
}

/** The path of a list; `closed` goes down to the base line at each gap. */
function pathOf(values, top, closed) {
  const step = WIDTH / Math.max(1, values.length - 1);
  const y = (value) => (HEIGHT - 2 - (Math.min(value, top) / top) * (HEIGHT - 6)).toFixed(1);
  let path = "", last = -1;
  values.forEach((value, i) => {
    if (value === null || value === undefined) {
      if (closed && last >= 0) path += `L${(last * step).toFixed(1)} ${HEIGHT}Z`;
      last = -1;
      return;
    }
    const x = (i * step).toFixed(1);
    if (last < 0) path += closed ? `M${x} ${HEIGHT}L${x} ${y(value)}` : `M${x} ${y(value)}h2`;
    else path += `L${x} ${y(value)}`;
    last = i;
  });
  if (closed && last >= 0) path += `L${(last * step).toFixed(1)} ${HEIGHT}Z`;
  return path;
}

/**
 * A chart with its title and newest value. options: title, unit (format of a value), lines: [{name,
 * label, kind, format}] (without a kind: not drawn; those come last), top (fixed), alarm(value) → "warn", "bad" or "".
 * Returns {element, update(series, intervalS, at, samples)}.
 */
export function chart({ title, hint, format, lines, top: fixedTop, alarm }) {
  const value = h("span", { class: "chart-value" }, "–");
  const second = h("span", { class: "chart-second" });
  const drawn = lines.filter((line) => line.kind);
  const areas = drawn.map((line) => svg("path", { class: `area ${line.kind}` }));
  const strokes = drawn.map((line) => svg("path", { class: `line ${line.kind}` }));
  const say = (line, n) => `${line.label ? `${line.label} ` : ""}${(line.format ?? format)(n)}`;
  const cross = svg("path", { class: "cross", d: "" });
  const scale = h("span", { class: "chart-top", "aria-hidden": "true" });
  const tip = h("span", { class: "chart-tip", hidden: true, "aria-hidden": "true" });
  const drawing = svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", "aria-hidden": "true" },
    svg("path", { class: "base", d: `M0 ${HEIGHT - 2}H${WIDTH}` }), areas, strokes, cross);
  const plot = h("div", { class: "plot" }, drawing, scale, tip);
  const element = h("figure", { class: "chart panel", title: hint },
    h("figcaption", {}, h("span", { class: "chart-title" }, title), value, second), plot);
  let shown = { lists: [], intervalS: 5, at: 0 };

  function point(event) {
    const box = plot.getBoundingClientRect();
    const length = shown.lists[0]?.length ?? 0;
    if (length < 2) return;
    const index = Math.round(Math.min(1, Math.max(0, (event.clientX - box.left) / box.width)) * (length - 1));
    const at = shown.at - (length - 1 - index) * shown.intervalS * 1000;
    const x = (index / (length - 1)) * WIDTH;
    cross.setAttribute("d", `M${x.toFixed(1)} 0V${HEIGHT}`);
    setText(tip, `${clock(at)}  ${lines.map((line, i) => say(line, shown.lists[i][index])).join("  ")}`);
    tip.hidden = false;
    tip.classList.toggle("left", index > length / 2);
  }
  plot.addEventListener("pointermove", point);
  plot.addEventListener("pointerleave", () => {
    tip.hidden = true;
    cross.setAttribute("d", "");
  });

  function update(series, intervalS, at, samples) {
    const lists = lines.map((line) => {
      const newest = (series[line.name] ?? []).slice(-samples);
      return [...new Array(samples - newest.length).fill(null), ...newest];
    });
    const known = lists.slice(0, drawn.length).flat().filter((v) => v !== null && v !== undefined);
    const most = Math.max(0, ...known);
    const top = fixedTop ?? niceTop(most);
    const newest = lists.map((list) => list.at(-1));
    shown = { lists, intervalS, at };
    lists.slice(0, drawn.length).forEach((list, i) => {
      areas[i].setAttribute("d", pathOf(list, top, true));
      strokes[i].setAttribute("d", pathOf(list, top, false));
    });
    setText(value, format(newest[0]));
    setText(second, lines.slice(1).map((line, i) => say(line, newest[i + 1])).join(" · "));
    setText(scale, format(top));
    value.className = `chart-value ${alarm?.(newest[0]) ?? ""}`;
    element.setAttribute("aria-label", `${title}: now ${format(newest[0])}, highest ${format(most)}`);
  }
  return { element, update };
}
