// The text with its spans, or with a tag under every token.

import { colour, element, labelOf, percent } from "./format.js";

/** Pieces of a text by code points, as the server counts them. */
export function slicer(text) {
  const points = Array.from(text);
  return (start, end) => points.slice(start, end).join("");
}

/**
 * Fill `place` with a tagged text.
 * Spans under the threshold stay visible, but as what they are: left out.
 */
export function showTagged(place, tagged, { model, threshold, sentence, choose }) {
  const cut = slicer(tagged.text);
  const many = tagged.sentences.length > 1;
  const paragraphs = tagged.sentences.map(([first, last], number) => {
    const start = tagged.offsets[first][0];
    const end = tagged.offsets[last - 1][1];
    const within = element("p", { dir: "auto", class: number === sentence && many ? "chosen" : null });
    if (many) {
      within.append(
        element(
          "button",
          {
            type: "button", class: "number", "aria-pressed": String(number === sentence),
            "aria-label": `Show sentence ${number + 1} in the trellis`, onclick: () => choose(number),
          },
          String(number + 1),
        ),
      );
    }
    within.append(
      ...(model.scheme === null
        ? tokens(tagged, cut, model, first, last)
        : spans(tagged, cut, model, threshold, start, end)),
    );
    return within;
  });
  place.replaceChildren(...paragraphs);
  if (!paragraphs.length) place.append(element("p", { class: "hint" }, "Nothing to tag yet."));
}

function spans(tagged, cut, model, threshold, start, end) {
  const pieces = [];
  let last = start;
  for (const span of tagged.spans.filter((one) => one.start >= start && one.end <= end)) {
    const sure = span.probability >= threshold;
    pieces.push(
      cut(last, span.start),
      element(
        "mark",
        { class: `${colour(span.label, model)}${sure ? "" : " unsure"}`, "data-label": span.label },
        element("span", { class: "said" }, cut(span.start, span.end)),
        element("span", { class: "tag" }, ` ${span.label} ${percent(span.probability)}${sure ? "" : ", left out"}`),
      ),
    );
    last = span.end;
  }
  return [...pieces, cut(last, end)];
}

function tokens(tagged, cut, model, first, last) {
  const pieces = [];
  let end = tagged.offsets[first][0];
  for (let t = first; t < last; t++) {
    const [from, to] = tagged.offsets[t];
    const label = labelOf(tagged.tags[t], model);
    pieces.push(
      cut(end, from),
      element(
        "span",
        { class: `token ${colour(label, model)}` },
        element("span", { class: "said" }, cut(from, to)),
        element("span", { class: "tag", title: percent(tagged.token_probabilities[t]) }, label),
      ),
    );
    end = to;
  }
  return pieces;
}
