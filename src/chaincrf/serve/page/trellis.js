// The trellis as a picture: a column a token, a row a tag. Cells are shaded by marginal; ribbons are as wide
// as the probability of the move; paths are outlined cells and the lines between them.

import { colour, element, labelOf, shape } from "./format.js";

const STUB = 26; // before the first token and after the last, where paths begin and end

export class Trellis {
  /**
   * @param place where it goes
   * @param on.point (token, tag) the cell under the pointer or the cursor, or null
   * @param on.press (token, tag) a cell was clicked
   * @param on.key (key) "force", "forbid", "free" at the cursor
   */
  constructor(place, on) {
    this.on = on;
    this.cursor = null;
    this.corner = element("div", { class: "corner" });
    this.heads = element("div", { class: "heads" });
    this.names = element("div", { class: "names" });
    this.drawing = shape("svg", {
      tabindex: 0, role: "application", "aria-roledescription": "trellis",
      "aria-label": "Trellis. Arrow keys move from cell to cell; F forces a tag, X forbids it, Backspace frees the token.",
    });
    this.grid = element("div", { class: "grid" }, this.corner, this.heads, this.names, this.drawing);
    place.replaceChildren(this.grid);
    this.place = place;
    this.drawing.addEventListener("pointermove", (event) => this.#point(event));
    this.drawing.addEventListener("pointerleave", () => this.#move(this.focused ? this.cursor : null));
    this.drawing.addEventListener("click", (event) => this.#press(event));
    this.drawing.addEventListener("keydown", (event) => this.#key(event));
    this.drawing.addEventListener("focus", () => this.#focus(true));
    this.drawing.addEventListener("blur", () => this.#focus(false));
  }

  /** Draw an explanation; `rows` are the tags to show, `width` that of a column, `known` what is said. */
  show(data, model, { rows, width, known }) {
    const same = this.data && this.rows?.join() === rows.join() && this.data.tokens.length === data.tokens.length;
    Object.assign(this, { data, model, rows, width, known });
    this.rowOf = new Map(rows.map((tag, row) => [tag, row]));
    this.height = rows.length <= 8 ? 36 : rows.length <= 20 ? 27 : rows.length <= 40 ? 20 : 14;
    this.cell = Math.max(10, Math.round(width * 0.58));
    if (!same) this.#frame();
    else this.#resize();
    this.#heads();
    this.#cells();
    this.#flows();
    this.#paths();
    this.#marks();
    if (this.cursor) {
      this.cursor = [Math.min(this.cursor[0], data.tokens.length - 1), Math.min(this.cursor[1], rows.length - 1)];
      this.#move(this.cursor);
    }
  }

  /** Scroll to the first token where there is something to see. */
  reveal() {
    const best = this.data.best[0]?.tags ?? this.data.independent.tags;
    const dull = this.data.tags.indexOf("O");
    const found = best.findIndex((tag, t) => (tag !== dull && dull >= 0) || tag !== this.data.independent.tags[t]);
    const top = Math.min(...best.map((tag) => this.rowOf.get(tag))) * this.height;
    this.place.scrollTo(Math.max(0, (found - 1.5) * this.width), this.rows.length * this.height > 600 ? top - 60 : 0);
  }

  /** Show one of the best paths besides; null: none. */
  highlight(tags) {
    this.layers.extra.replaceChildren();
    if (!tags) return;
    const best = this.data.best[0].tags;
    this.#trace(this.layers.extra, tags, "extra", (t) => tags[t] !== best[t] || tags[t - 1] !== best[t - 1]);
  }

  x = (t) => STUB + (t + 0.5) * this.width;
  y = (tag) => (this.rowOf.get(tag) + 0.5) * this.height;

  #frame() {
    const names = ["bands", "cells", "flows", "alone", "crf", "extra", "marks", "cursor"];
    this.layers = Object.fromEntries(names.map((name) => [name, shape("g", { class: name })]));
    this.drawing.replaceChildren(...Object.values(this.layers));
    this.crfLines = null;
    this.names.replaceChildren(
      ...this.rows.map((tag) => {
        const name = this.data.tags[tag];
        return element("div", { class: `name ${colour(labelOf(name, this.model), this.model)}` }, name);
      }),
    );
    this.#resize();
  }

  #resize() {
    const size = [this.data.tokens.length * this.width + 2 * STUB, this.rows.length * this.height];
    this.drawing.setAttribute("width", size[0]);
    this.drawing.setAttribute("height", size[1]);
    this.heads.style.width = `${size[0]}px`;
    for (const name of this.names.children) name.style.height = `${this.height}px`;
    this.layers.bands.replaceChildren(
      ...this.rows.map((_, row) =>
        shape("rect", { x: 0, y: row * this.height, width: size[0], height: this.height, class: row % 2 ? "odd" : "even" })),
    );
  }

  #heads() {
    const upright = this.width < 44;
    this.grid.classList.toggle("upright", upright);
    this.grid.classList.toggle("tight", this.height < 16);
    this.heads.replaceChildren(
      ...this.data.tokens.map((token, t) => {
        const head = element("div", { class: "head", dir: "auto", title: token }, element("span", {}, token));
        head.style.left = `${STUB + t * this.width}px`;
        head.style.width = `${this.width}px`;
        if (this.known.has(t)) head.classList.add("known");
        if (this.data.independent.tags[t] !== this.data.best[0]?.tags[t]) head.classList.add("differs");
        return head;
      }),
    );
  }

  #box(t, tag, more) {
    const inset = this.height > 24 ? 4 : this.height > 16 ? 2 : 1;
    return {
      x: this.x(t) - this.cell / 2, y: this.y(tag) - this.height / 2 + inset,
      width: this.cell, height: this.height - 2 * inset, rx: 4, ...more,
    };
  }

  #cells() {
    const drawn = [];
    this.data.marginals.forEach((row, t) => {
      for (const tag of this.rows) {
        const p = row[tag];
        const closed = !this.data.allowed[t][tag];
        const box = shape("rect", this.#box(t, tag, { class: closed ? "cell closed" : "cell" }));
        box.style.setProperty("--p", p.toFixed(4));
        drawn.push(box);
        if (this.cell >= 30 && this.height >= 20 && p >= 0.005 && !closed) {
          const shown = p > 0.995 && p < 1 ? "99+" : String(Math.round(100 * p));
          drawn.push(shape("text", { x: this.x(t), y: this.y(tag), class: p > 0.55 ? "p deep" : "p" }, shown));
        }
      }
    });
    this.layers.cells.replaceChildren(...drawn);
  }

  #curve(t, from, tag) {
    const left = t === 0 ? 6 : this.x(t - 1) + this.cell / 2;
    const last = t === this.data.tokens.length;
    const right = last ? this.x(t - 1) + this.width / 2 + STUB - 6 : this.x(t) - this.cell / 2;
    const middle = (left + right) / 2;
    const start = this.y(t === 0 ? tag : from);
    const end = this.y(last ? from : tag);
    return { path: `M${left} ${start}C${middle} ${start} ${middle} ${end} ${right} ${end}`, at: [middle, (start + end) / 2] };
  }

  #flows() {
    const most = Math.min(this.height * 0.62, 20);
    this.layers.flows.replaceChildren(
      ...this.data.edges
        .filter(([, from, tag]) => this.rowOf.has(from) && this.rowOf.has(tag))
        .map(([t, from, tag, p]) =>
          shape("path", { d: this.#curve(t, from, tag).path, class: "flow", "stroke-width": Math.max(0.7, p * most) })),
    );
  }

  #trace(layer, tags, name, shown) {
    const T = tags.length;
    for (let t = 0; t <= T; t++) {
      if (!shown(t)) continue;
      const curve = this.#curve(t, tags[t - 1] ?? null, tags[t] ?? null);
      layer.append(shape("path", { d: curve.path, class: `line ${name}` }));
    }
    tags.forEach((tag, t) => {
      if (shown(t) || shown(t + 1)) layer.append(shape("rect", this.#box(t, tag, { class: `ring ${name}` })));
    });
  }

  #paths() {
    const best = this.data.best[0]?.tags;
    this.highlight(null);
    this.layers.alone.replaceChildren();
    this.#crf(best);
    const alone = this.data.independent.tags;
    const differs = (t) => !best || alone[t] !== best[t] || alone[t - 1] !== best[t - 1] || this.data.broken.includes(t);
    this.#trace(this.layers.alone, alone, "alone", differs);
    for (const move of this.data.broken) {
      const { path, at } = this.#curve(move, alone[move - 1] ?? null, alone[move] ?? null);
      const r = Math.min(9, this.width / 4);
      const arm = 0.55 * r;
      const cross = `M${at[0] - arm} ${at[1] - arm}l${2 * arm} ${2 * arm}m0 ${-2 * arm}l${-2 * arm} ${2 * arm}`;
      this.layers.alone.append(
        shape("path", { d: path, class: "line broken" }),
        shape("circle", { cx: at[0], cy: at[1], r, class: "broken" }),
        shape("path", { d: cross, class: "cross" }),
      );
    }
  }

  /** The path of the CRF is moved, not drawn anew, so that one sees it move. */
  #crf(tags) {
    const layer = this.layers.crf;
    if (!tags) {
      layer.replaceChildren();
      this.crfLines = null;
      return;
    }
    if (!this.crfLines) {
      this.crfLines = Array.from({ length: tags.length + 1 }, () => shape("path", { class: "line crf" }));
      this.crfRings = tags.map(() => shape("rect", { class: "ring crf" }));
      layer.replaceChildren(...this.crfLines, ...this.crfRings);
    }
    this.crfLines.forEach((line, t) => {
      line.style.d = `path("${this.#curve(t, tags[t - 1] ?? null, tags[t] ?? null).path}")`;
      line.setAttribute("d", this.#curve(t, tags[t - 1] ?? null, tags[t] ?? null).path);
    });
    this.crfRings.forEach((ring, t) => {
      const box = this.#box(t, tags[t]);
      for (const [key, value] of Object.entries({ ...box, y: 0 })) ring.setAttribute(key, value);
      ring.style.transform = `translateY(${box.y}px)`;
    });
  }

  #marks() {
    const drawn = [];
    for (const [t, { force, forbid }] of this.known) {
      if (force !== null && this.rowOf.has(force)) {
        const box = this.#box(t, force);
        drawn.push(shape("path", { class: "pin", d: `M${box.x + box.width - 9} ${box.y}h9v9z` }));
      }
      for (const tag of forbid) {
        if (!this.rowOf.has(tag)) continue;
        const { x, y, width, height } = this.#box(t, tag);
        drawn.push(shape("path", { class: "forbidden", d: `M${x + 3} ${y + 3}l${width - 6} ${height - 6}m0 ${6 - height}l${6 - width} ${height - 6}` }));
      }
    }
    this.layers.marks.replaceChildren(...drawn);
  }

  #at(event) {
    const box = this.drawing.getBoundingClientRect();
    const t = Math.floor((event.clientX - box.left - STUB) / this.width);
    const row = Math.floor((event.clientY - box.top) / this.height);
    const inside = t >= 0 && t < this.data.tokens.length && row >= 0 && row < this.rows.length;
    return inside ? [t, row] : null;
  }

  #point(event) {
    const at = this.#at(event);
    if (at?.join() !== this.shown?.join()) this.#move(at);
  }

  #press(event) {
    const at = this.#at(event);
    if (!at) return;
    this.cursor = at;
    this.#move(at);
    this.on.press(at[0], this.rows[at[1]]);
  }

  #focus(focused) {
    this.focused = focused && this.drawing.matches(":focus-visible");
    if (!this.focused) return;
    const first = this.data.best[0]?.tags[0];
    this.cursor ??= [0, this.rowOf.get(first) ?? 0];
    this.#move(this.cursor);
  }

  #key(event) {
    const moves = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    const said = { f: "force", Enter: "force", x: "forbid", Delete: "forbid", Backspace: "free", Escape: "free" };
    if (event.ctrlKey || event.metaKey || event.altKey || !this.cursor) return;
    if (moves[event.key]) {
      const [t, row] = moves[event.key];
      this.cursor = [
        Math.max(0, Math.min(this.data.tokens.length - 1, this.cursor[0] + t)),
        Math.max(0, Math.min(this.rows.length - 1, this.cursor[1] + row)),
      ];
      this.focused = true;
      this.#move(this.cursor);
      this.#reveal();
    } else if (said[event.key]) this.on.key(said[event.key], this.cursor[0], this.rows[this.cursor[1]]);
    else return;
    event.preventDefault();
  }

  #reveal() {
    const [t, row] = this.cursor;
    const x = this.names.offsetWidth + this.x(t);
    const y = this.heads.offsetHeight + (row + 0.5) * this.height;
    const { scrollLeft, scrollTop, clientWidth, clientHeight } = this.place;
    const near = (at, from, size, border, step) =>
      at - step < from + border ? at - step - border : at + step > from + size ? at + step - size : from;
    this.place.scrollTo(
      near(x, scrollLeft, clientWidth, this.names.offsetWidth, this.width),
      near(y, scrollTop, clientHeight, this.heads.offsetHeight, this.height),
    );
  }

  #move(at) {
    this.shown = at;
    this.layers.cursor.replaceChildren();
    if (at) {
      const box = this.#box(at[0], this.rows[at[1]]);
      const ring = { x: box.x - 3, y: box.y - 3, width: box.width + 6, height: box.height + 6, rx: 6 };
      this.layers.cursor.append(shape("rect", { ...ring, class: "cursor" }));
      this.on.point(at[0], this.rows[at[1]]);
    } else this.on.point(null);
  }
}

/** The tags that matter anywhere in a sentence. */
export function inPlay(data, known) {
  const used = new Set([...data.independent.tags, ...data.best.flatMap((path) => path.tags)]);
  data.marginals.forEach((row) => row.forEach((p, tag) => p >= 0.05 && used.add(tag)));
  for (const { force, forbid } of known.values()) [force, ...forbid].forEach((tag) => tag !== null && used.add(tag));
  return data.tags.map((_, tag) => tag).filter((tag) => used.has(tag));
}

/** What a legend says of the signs above. */
export function legend(model) {
  const path = model.head === "crf" ? "path of the CRF" : "best path";
  return [
    ["shade", "0 to 100 %: marginal p(tag)"],
    ["flow", "as wide as p(move)"],
    ["crf", path],
    ["alone", "each token by itself, where it differs"],
    ["broken", "an invalid move"],
  ];
}

