// The same numbers as tables, for those who do not see the pictures.

import { element, percent, score } from "./format.js";

/** A column a token, a row a tag, marginals in the cells; the paths are named. */
export function trellisTable(data, rows) {
  const best = data.best[0]?.tags ?? [];
  const cell = (t, tag) => {
    const notes = [];
    if (best[t] === tag) notes.push("best path");
    if (data.independent.tags[t] === tag && best[t] !== tag) notes.push("by itself");
    if (!data.allowed[t][tag]) notes.push("forbidden");
    const said = [percent(data.marginals[t][tag]), ...notes].join(", ");
    return element("td", { class: notes[0] === "best path" ? "best" : null }, said);
  };
  return element(
    "table",
    {},
    element("caption", {}, "Probability of each tag (row) at each token (column)"),
    element("thead", {}, element("tr", {}, element("td", {}), ...data.tokens.map((token) => element("th", { scope: "col" }, token)))),
    element("tbody", {}, ...rows.map((tag) =>
      element("tr", {}, element("th", { scope: "row" }, data.tags[tag]), ...data.tokens.map((_, t) => cell(t, tag))))),
  );
}

/** From (row) to (column). */
export function transitionTable(data) {
  const row = (name, scores, end) =>
    element("tr", {}, element("th", { scope: "row" }, name),
      ...scores.map((value) => element("td", {}, value === null ? "forbidden" : score(value))),
      element("td", {}, end === undefined ? "" : end === null ? "forbidden" : score(end)));
  return element(
    "table",
    {},
    element("caption", {}, "Score of a tag (row) followed by a tag (column)"),
    element("thead", {}, element("tr", {}, element("td", {}), ...[...data.tags, "end"].map((tag) => element("th", { scope: "col" }, tag)))),
    element("tbody", {}, row("start", data.start_transitions),
      ...data.tags.map((tag, i) => row(tag, data.transitions[i], data.end_transitions[i]))),
  );
}
