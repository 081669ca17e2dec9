// The transition matrix as a heat map: from (row) to (column), with the start above and the end at the right.

import { score, shape } from "./format.js";

/** Draw it; `point(from, to, value)` is told the cell under the pointer, names or null. */
export function showTransitions(place, data, point) {
  const K = data.tags.length;
  const size = K <= 8 ? 40 : K <= 24 ? 24 : 13;
  const all = [...data.transitions.flat(), ...data.start_transitions, ...data.end_transitions];
  const most = Math.max(1e-9, ...all.filter((value) => value !== null).map(Math.abs));
  const names = ["start", ...data.tags];
  const values = [
    [...data.start_transitions, undefined],
    ...data.transitions.map((row, i) => [...row, data.end_transitions[i]]),
  ];
  const left = 10 + 8.4 * Math.max(...names.map((name) => name.length));
  const turned = left > size;
  const top = turned ? left : 24;
  const gap = (index, of) => (index === of ? 4 : 0);
  const svg = shape("svg", {
    width: left + (K + 1) * size + 8, height: top + (K + 1) * size + 8, class: "heat", role: "img",
    "aria-label": "Heat map of the transition scores; the table below has the numbers",
  });
  values.forEach((row, i) => {
    const y = top + i * size + (i ? 4 : 0);
    svg.append(shape("text", { x: left - 6, y: y + size / 2, class: size < 16 ? "from small" : "from" }, names[i]));
    row.forEach((value, j) => {
      if (value === undefined) return;
      const box = { x: left + j * size + gap(j, K), y, width: size - 1, height: size - 1 };
      const kind = value === null ? "none" : value < 0 ? "minus" : "plus";
      const cell = shape("rect", { ...box, class: `score ${kind}` });
      cell.style.setProperty("--p", value === null ? 0 : Math.sqrt(Math.abs(value) / most).toFixed(3));
      const to = j === K ? "end" : data.tags[j];
      cell.addEventListener("pointerenter", () => point(names[i], to, value));
      svg.append(cell);
      if (value === null) {
        svg.append(shape("path", { class: "none", d: `M${box.x} ${box.y + size - 1}L${box.x + size - 1} ${box.y}` }));
      } else if (size >= 40) {
        svg.append(shape("text", { x: box.x + size / 2, y: y + size / 2, class: "p" }, score(value)));
      }
    });
  });
  [...data.tags, "end"].forEach((tag, j) => {
    const x = left + j * size + size / 2 + gap(j, K);
    const turn = turned ? { transform: `rotate(-90 ${x} ${top - 6})` } : {};
    const side = `to${turned ? " turned" : ""}${size < 16 ? " small" : ""}`;
    svg.append(shape("text", { x, y: top - 6, class: side, ...turn }, tag));
  });
  svg.addEventListener("pointerleave", () => point(null));
  place.replaceChildren(svg);
}

export const describeTransition = (from, to, value) =>
  value === null ? `${from} → ${to}: forbidden` : `${from} → ${to}: ${score(value)}`;

