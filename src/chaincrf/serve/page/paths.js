// The best paths as a list: how probable, and what is different from the best.

import { colour, element, labelOf, percent } from "./format.js";

/** Fill the list; `point(path)` is told the one that is looked at, or null. */
export function showPaths(place, data, model, point) {
  const best = data.best[0]?.tags ?? [];
  place.replaceChildren(
    ...data.best.map((path) => {
      const bar = element("span", { class: "bar" });
      bar.style.setProperty("--p", path.probability.toFixed(4));
      const look = () => point(path.tags);
      return element(
        "li",
        {},
        element(
          "button",
          { type: "button", onpointerenter: look, onfocus: look, onpointerleave: () => point(null), onblur: () => point(null) },
          element("span", { class: "probability" }, percent(path.probability), bar),
          element("span", { class: "said", dir: "auto" }, ...(model.scheme === null ? tags(data, path, best, model) : spans(data, path, best, model))),
        ),
      );
    }),
  );
}

function chip(name, model) {
  const label = model.labels.includes(name) ? name : labelOf(name, model);
  return element("b", { class: colour(label, model) }, name);
}

/** The spans that the tags say, in any scheme: what they say, and their label. */
function spansOf(data, path, model) {
  const found = [];
  let label = null;
  let ended = true;
  path.tags.forEach((tag, t) => {
    const name = data.tags[tag];
    if (name !== "O" && !ended && label === labelOf(name, model) && !"BSU".includes(name[0])) found.at(-1).last = t;
    else if (name !== "O") found.push({ first: t, last: t, label: labelOf(name, model) });
    label = name === "O" ? null : labelOf(name, model);
    ended = "OESLU".includes(name[0]);
  });
  return found;
}

/** The spans of the best path; of another one those that are new, and those that are gone. */
function spans(data, path, best, model) {
  const own = spansOf(data, path, model);
  const say = (name) => ({ first, last, label }) =>
    [element(name, {}, data.tokens.slice(first, last + 1).join(" "), " ", chip(label, model)), "  "];
  if (path.tags === best) return own.length ? own.flatMap(say("span")) : [element("i", {}, "no span")];
  const key = (span) => JSON.stringify(span);
  const without = (some, others) => some.filter((span) => !others.some((other) => key(other) === key(span)));
  const before = spansOf(data, { tags: best }, model);
  const changes = [...without(before, own).flatMap(say("s")), ...without(own, before).flatMap(say("span"))];
  return changes.length ? changes : tags(data, path, best, model);
}

/** The tokens that have another tag than in the best path; of the best itself all. */
function tags(data, path, best, model) {
  return path.tags.flatMap((tag, t) => {
    if (path.tags === best) return [`${data.tokens[t]} `, chip(data.tags[tag], model), " "];
    if (tag === best[t]) return [];
    return [`${data.tokens[t]} `, chip(data.tags[best[t]], model), " → ", chip(data.tags[tag], model), "  "];
  });
}
