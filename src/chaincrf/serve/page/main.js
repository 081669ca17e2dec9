// The page: what was typed goes to the server, and what it answers is shown.

import { get, hasToken, post, Refused, useToken } from "./api.js";
import { EXAMPLES } from "./examples.js";
import { element, percent, score, softmax } from "./format.js";
import { showPaths } from "./paths.js";
import { transitionTable, trellisTable } from "./tables.js";
import { showTagged } from "./text.js";
import { describeTransition, showTransitions } from "./transitions.js";
import { inPlay, legend, Trellis } from "./trellis.js";

const K_BEST = 5;
const TRANSITIONS = "From the tag of a row to that of a column: blue is favoured, red is not, a stroke is forbidden. Point at a cell for its score.";
const WAIT = 250; // milliseconds after the last key

const at = (id) => document.getElementById(id);
const state = {
  models: [], model: null, tagged: null, sentence: 0, data: null, zoom: null,
  known: new Map(), // token -> { force: tag or null, forbid: set of tags }
};
const trellis = new Trellis(at("trellis"), { point: inspect, press: cycle, key: say });
let pointed = null;

// Talking to the server.

async function attempt(work) {
  try {
    await work();
    complain("");
  } catch (error) {
    if (error.name === "AbortError") return;
    if (error instanceof Refused && error.status === 401) {
      at("login").hidden = false;
      at("token").focus();
      at("token").select();
      complain(hasToken() ? "The server does not accept this token." : "");
    } else complain(error instanceof Refused ? error.message : "The server does not answer.");
  }
}

function complain(message) {
  at("error").textContent = message;
  at("error").hidden = !message;
}

const start = () =>
  attempt(async () => {
    state.models = await get("/v1/models");
    at("login").hidden = true;
    at("model").replaceChildren(...state.models.map(({ name }) => element("option", { value: name }, name)));
    choose(state.models[0]);
    if (!at("text").value) at("text").value = EXAMPLES[state.model.task][0];
    await tag();
  });

const tag = () =>
  attempt(async () => {
    const text = at("text").value;
    const { version, results } = await post("/v1/tag", { text, model: state.model.name });
    if (version !== state.model.version) describe(await get(`/v1/model?name=${state.model.name}`)); // it was swapped
    state.tagged = results[0];
    state.sentence = Math.min(state.sentence, Math.max(0, state.tagged.sentences.length - 1));
    state.known.clear();
    pointed = null;
    drawText();
    await explain(true);
  });

const explain = (anew) =>
  attempt(async () => {
    at("trellis").setAttribute("aria-busy", "true");
    const empty = !state.tagged?.sentences.length;
    for (const id of ["trellis-section", "more"]) at(id).hidden = empty;
    if (empty) return;
    state.data = await post("/v1/explain", {
      text: state.tagged.text, model: state.model.name, sentence: state.sentence, k_best: K_BEST, allowed: allowed(),
    });
    draw();
    if (anew) trellis.reveal();
    at("trellis").setAttribute("aria-busy", "false");
  });

function allowed() {
  const every = state.model.tags.map((_, tag) => tag);
  return [...state.known].map(([token, { force, forbid }]) => {
    const left = every.filter((tag) => (force === null ? !forbid.has(tag) : tag === force));
    return { token, tags: left.map((tag) => state.model.tags[tag]) };
  });
}

// What the reader does.

function choose(model) {
  state.zoom = null;
  state.sentence = 0;
  at("rows").checked = model.tags.length > 20;
  describe(model);
}

function describe(model) {
  state.model = model;
  const scheme = model.scheme === null ? "parts of speech" : `spans in ${model.scheme}`;
  const head = model.head === "crf" ? "CRF" : "softmax";
  at("about").textContent = `${head}${model.constrained ? ", constrained" : ""}; ${scheme}; ${model.tags.length} tags; version ${model.version}`;
  at("threshold-row").hidden = model.scheme === null;
  at("legend").replaceChildren(
    ...legend(model).map(([sign, words]) => element("li", {}, element("i", { class: `sign ${sign}` }), words)),
  );
}

/** Say something of a token: force a tag, forbid it, or nothing any more. */
function say(what, token, tag) {
  const known = state.known.get(token) ?? { force: null, forbid: new Set() };
  if (what === "force") known.force = known.force === tag ? null : tag;
  if (what === "force") known.forbid.delete(tag);
  if (what === "forbid") {
    if (known.force === tag) known.force = null;
    if (!known.forbid.delete(tag)) known.forbid.add(tag);
    if (known.forbid.size === state.model.tags.length) known.forbid.clear(); // something must be left
  }
  if (what === "free" || (known.force === null && !known.forbid.size)) state.known.delete(token);
  else state.known.set(token, known);
  return explain();
}

/** A click forces a tag, the next one forbids it, the third frees it. */
function cycle(token, tag) {
  const known = state.known.get(token);
  if (known?.force === tag) say("forbid", token, tag);
  else if (known?.forbid.has(tag)) say("forbid", token, tag);
  else say("force", token, tag);
}

let timer = 0;
at("text").addEventListener("input", () => {
  clearTimeout(timer);
  timer = setTimeout(tag, WAIT);
});
at("example").addEventListener("click", () => {
  const texts = EXAMPLES[state.model.task];
  at("text").value = texts[(texts.indexOf(at("text").value) + 1) % texts.length];
  state.sentence = 0;
  tag();
});
at("model").addEventListener("change", () => {
  const before = state.model.task;
  choose(state.models.find(({ name }) => name === at("model").value));
  if (EXAMPLES[before].includes(at("text").value)) at("text").value = EXAMPLES[state.model.task][0];
  tag();
});
at("threshold").addEventListener("input", drawText);
at("zoom").addEventListener("input", () => {
  state.zoom = Number(at("zoom").value);
  draw();
});
at("rows").addEventListener("change", draw);
at("login").addEventListener("submit", (event) => {
  event.preventDefault();
  useToken(at("token").value);
  start();
});
for (const what of ["force", "forbid", "free"]) {
  at(what).addEventListener("click", () => pointed && say(what, ...pointed));
}
at("table-details").addEventListener("toggle", drawTables);
at("transition-details").addEventListener("toggle", drawTables);
addEventListener("resize", () => state.data && state.zoom === null && draw());

// What is shown.

function drawText() {
  const threshold = Number(at("threshold").value);
  at("threshold-value").textContent = percent(threshold);
  if (!state.tagged) return;
  showTagged(at("tagged"), state.tagged, {
    model: state.model, threshold, sentence: state.sentence,
    choose: (number) => {
      state.sentence = number;
      state.known.clear();
      drawText();
      explain(true);
    },
  });
}

function draw() {
  const { data, model, known } = state;
  const rows = at("rows").checked ? inPlay(data, known) : data.tags.map((_, tag) => tag);
  const room = at("trellis").clientWidth - 150;
  const longest = 12 + 7.5 * Math.max(...data.tokens.map((token) => token.length));
  const fitting = Math.min(120, Math.floor(room / data.tokens.length));
  const width = state.zoom ?? (fitting >= 58 ? fitting : Math.max(52, Math.min(96, longest)));
  at("zoom").value = width;
  trellis.show(data, model, { rows, width, known });
  at("which").textContent = data.sentences.length > 1 ? `of sentence ${data.sentence + 1} of ${data.sentences.length}` : "";
  at("story").replaceChildren(...story(data));
  drawKnown();
  showPaths(at("paths"), data, model, (tags) => trellis.highlight(tags));
  showTransitions(at("transitions"), data, (from, to, value) => {
    at("transition-cell").textContent = from === null ? TRANSITIONS : describeTransition(from, to, value);
  });
  at("transition-cell").textContent = TRANSITIONS;
  drawTables();
  inspect(null);
}

function drawTables() {
  if (!state.data) return;
  const rows = at("rows").checked ? inPlay(state.data, state.known) : state.data.tags.map((_, tag) => tag);
  at("table").replaceChildren(...(at("table-details").open ? [trellisTable(state.data, rows)] : []));
  at("transition-table").replaceChildren(...(at("transition-details").open ? [transitionTable(state.data)] : []));
}

/** What there is to see, in words. */
function story(data) {
  const [best] = data.best;
  if (!best) return ["No path keeps to all of this: free a token."];
  const alone = data.independent.tags;
  const differing = alone.flatMap((tag, t) => (tag === best.tags[t] ? [] : [t]));
  const given = state.known.size ? "With what you said, " : "";
  const path = `${given}${given ? "t" : "T"}he ${state.model.head === "crf" ? "CRF's" : "best"} path`;
  const said = [`${path} has probability `, element("b", {}, percent(best.probability)), ". "];
  if (!differing.length && !data.broken.length) return [...said, "Token by token, all decisions would be the same."];
  const count = differing.length ? `${differing.length} of ${alone.length} decisions` : "no decision";
  said.push("Token by token, ", element("b", { class: "alone" }, count), " would be different");
  if (!data.broken.length) return [...said, ", without an invalid move."];
  const name = (t) => (t < 0 ? "start" : t === alone.length ? "end" : data.tags[alone[t]]);
  const moves = data.broken.slice(0, 3).map((t) => `${name(t - 1)} → ${name(t)}`);
  const more = data.broken.length > 3 ? ", ..." : "";
  const invalid = `${data.broken.length} invalid ${data.broken.length === 1 ? "move" : "moves"}`;
  return [...said, ", with ", element("b", { class: "broken" }, invalid), ` (${moves.join(", ")}${more}).`];
}

function drawKnown() {
  const said = [...state.known].flatMap(([token, { force, forbid }]) => {
    const word = state.data.tokens[token];
    const button = (words, what, tag) =>
      element("button", { type: "button", "aria-label": `${words}: take it back`, onclick: () => say(what, token, tag) }, words, " ✕");
    if (force !== null) return [button(`${word} is ${state.data.tags[force]}`, "free", force)];
    return [...forbid].map((tag) => button(`${word} is not ${state.data.tags[tag]}`, "forbid", tag));
  });
  if (said.length > 1) said.push(element("button", { type: "button", onclick: () => (state.known.clear(), explain()) }, "Free all"));
  at("known").hidden = !said.length;
  at("known").replaceChildren("You said: ", ...said);
}

/** The scores of the cell that is pointed at, or was last. */
function inspect(token, tag) {
  if (token !== null) pointed = [token, tag];
  for (const what of ["force", "forbid", "free"]) at(what).disabled = !pointed;
  if (!pointed || !state.data || pointed[0] >= state.data.tokens.length) {
    at("cell").textContent = "Point at a cell for its scores. A click (or a tap) forces its tag, a second one forbids it, a third one frees it.";
    return;
  }
  const { data } = state;
  const [t, j] = pointed;
  const best = data.best[0]?.tags;
  const parts = [
    element("b", { dir: "auto" }, data.tokens[t]), " as ", element("b", {}, data.tags[j]), ": ",
    `marginal ${percent(data.marginals[t][j])}, by itself ${percent(softmax(data.emissions[t], data.allowed[t])[j])}, `,
    `emission ${score(data.emissions[t][j])}`,
  ];
  if (best && t > 0) parts.push(`, from ${data.tags[best[t - 1]]} ${score(data.transitions[best[t - 1]][j])}`);
  if (best && t === 0) parts.push(`, from the start ${score(data.start_transitions[j])}`);
  if (best && t < data.tokens.length - 1) parts.push(`, to ${data.tags[best[t + 1]]} ${score(data.transitions[j][best[t + 1]])}`);
  if (best && t === data.tokens.length - 1) parts.push(`, to the end ${score(data.end_transitions[j])}`);
  at("cell").replaceChildren(...parts);
}

inspect(null);
start();
