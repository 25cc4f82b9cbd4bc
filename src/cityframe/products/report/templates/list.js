// The list of findings: filters, order, and rows made only for what is on the screen.

const ROW_HEIGHT = 64;
const FILTERS = ["q", "layer", "rule", "class", "delivery", "state", "waived"];
const NO_FILTER = { ...Object.fromEntries(FILTERS.map((name) => [name, ""])), gates: [], view: false };

class FindingList {
  constructor(box, { onPick }) {
    this.box = box;
    this.sheet = box.querySelector(".rows");
    this.onPick = onPick;
    this.order = "severity";
    this.filter = { ...NO_FILTER };
    this.chosen = new Uint32Array(0);
    this.rows = new Uint32Array(0);
    this.selected = -1;
    box.addEventListener("scroll", () => this.later());
    box.addEventListener("click", (event) => {
      const row = event.target.closest(".row");
      if (row) this.onPick(Number(row.dataset.finding));
    });
    box.addEventListener("keydown", (event) => this.key(event));
    new ResizeObserver(() => this.later()).observe(box);
  }

  /** What is searched in a finding, in small letters. */
  text(i) {
    this.texts ??= new Array(findings.count);
    this.texts[i] ??= [
      findings.id[i], findings.uid(i), findings.sourceKey(i), findings.other(i), findings.found(i),
      findings.rule(i).id, findings.rule(i).title,
    ].join("\n").toLowerCase();
    return this.texts[i];
  }

  /** Choose the findings that pass the filter; `isInView` says whether the map shows one. */
  apply(isInView) {
    const { filter } = this;
    const parts = filter.q.toLowerCase().split(/\s+/).filter(Boolean);
    const kept = [];
    for (let i = 0; i < findings.count; i++) {
      if (filter.layer && findings.layer(i).name !== filter.layer) continue;
      if (filter.rule && findings.rule(i).id !== filter.rule) continue;
      if (filter.class && findings.defectClass(i) !== filter.class) continue;
      if (filter.delivery && findings.delivery(i) !== filter.delivery) continue;
      if (filter.gates.length && !filter.gates.includes(findings.gate(i))) continue;
      // what is fixed is listed only when asked for
      if (filter.state ? filter.state !== "all" && findings.state(i) !== filter.state : findings.isFixed(i)) continue;
      if (filter.waived === "no" && findings.isWaived(i)) continue;
      if (filter.waived === "yes" && !findings.isWaived(i)) continue;
      if (filter.view && !isInView(i)) continue;
      if (parts.length && !parts.every((part) => this.text(i).includes(part))) continue;
      kept.push(i);
    }
    this.chosen = Uint32Array.from(kept);
    this.sort();
  }

  sort() {
    // findings stand in the page by severity; the other orders keep that order among equals
    const keys = {
      severity: null,
      layer: (i) => findings.layer(i).title,
      rule: (i) => findings.rule(i).title,
      uid: (i) => findings.name(i),
    };
    const key = keys[this.order];
    this.rows = this.chosen.slice();
    if (key) {
      // titles in the order of the language; identifiers, which may be very many, by their code
      const collator = new Intl.Collator(report.language, { numeric: true });
      const names = [...new Set(Array.from(this.chosen, key))];
      names.sort(this.order === "uid" ? undefined : collator.compare);
      const rank = new Map(names.map((name, place) => [name, place]));
      this.rows.sort((a, b) => rank.get(key(a)) - rank.get(key(b)) || a - b);
    }
    this.sheet.style.height = `${this.rows.length * ROW_HEIGHT}px`;
    this.box.scrollTop = 0;
    this.draw();
  }

  later() {
    if (this.isWaiting) return;
    this.isWaiting = true;
    requestAnimationFrame(() => {
      this.isWaiting = false;
      this.draw();
    });
  }

  draw() {
    const first = Math.max(0, Math.floor(this.box.scrollTop / ROW_HEIGHT) - 4);
    const count = Math.ceil(this.box.clientHeight / ROW_HEIGHT) + 8;
    const rows = [];
    for (let place = first; place < Math.min(this.rows.length, first + count); place++) {
      rows.push(this.row(this.rows[place], place));
    }
    this.sheet.replaceChildren(...rows);
    const active = this.sheet.querySelector("[aria-selected=true]");
    if (active) this.box.setAttribute("aria-activedescendant", active.id);
    else this.box.removeAttribute("aria-activedescendant");
  }

  row(i, place) {
    const row = element("div", { class: `row gate-${findings.look(i)}` });
    row.id = `row-${i}`;
    row.dataset.finding = i;
    row.style.top = `${place * ROW_HEIGHT}px`;
    row.setAttribute("role", "option");
    row.setAttribute("aria-selected", String(i === this.selected));
    row.setAttribute("aria-setsize", this.rows.length);
    row.setAttribute("aria-posinset", place + 1);
    row.append(...[
      gateSign(i),
      element("div", { class: "row-text" },
        element("div", { class: "row-title" }, findings.rule(i).title),
        element("div", { class: "row-found" }, findings.found(i)),
        element("div", { class: "row-meta" },
          element("span", {}, findings.layer(i).title), element("code", {}, findings.name(i)))),
      findings.state(i) ? element("span", { class: `state state-${findings.state(i)}` }, words[`finding_${findings.state(i)}`]) : null,
      element("span", { class: "class-letter", title: say("class_is", { class: findings.defectClass(i) }) },
        findings.defectClass(i)),
    ].filter((part) => part !== null));
    return row;
  }

  select(i, { scroll = true } = {}) {
    this.selected = i;
    const place = this.rows.indexOf(i);
    if (scroll && place >= 0) {
      const top = place * ROW_HEIGHT, high = this.box.clientHeight;
      if (top < this.box.scrollTop) this.box.scrollTop = top;
      else if (top + ROW_HEIGHT > this.box.scrollTop + high) {
        this.box.scrollTop = top - Math.max(0, (high - ROW_HEIGHT) / 2);
      }
    }
    this.draw();
  }

  /** Select the finding so many rows further; the ends of the list hold. */
  step(by) {
    if (!this.rows.length) return;
    const place = this.rows.indexOf(this.selected);
    const next = place < 0 ? 0 : Math.max(0, Math.min(this.rows.length - 1, place + by));
    this.onPick(this.rows[next]);
  }

  key(event) {
    const page = Math.max(1, Math.floor(this.box.clientHeight / ROW_HEIGHT) - 1);
    const steps = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -Infinity, End: Infinity };
    if (!(event.key in steps) || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    this.step(steps[event.key]);
  }
}

/** The sign of a finding: a shape with a name. */
function gateSign(i) {
  const look = findings.look(i), gate = words[`gate_${findings.gate(i)}`];
  const more = { fixed: words.finding_fixed, waived: words.waived }[look];
  return sign(`gate-${look}`, more ? `${gate} · ${more}` : gate);
}

function sign(symbol, name) {
  const drawing = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  drawing.setAttribute("class", `sign sign-${symbol}`);
  drawing.setAttribute("role", "img");
  drawing.setAttribute("aria-label", name);
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  use.setAttribute("href", `#sign-${symbol}`);
  const title = document.createElementNS("http://www.w3.org/2000/svg", "title");
  title.textContent = name;
  drawing.append(title, use);
  return drawing;
}

/** An element with attributes and children; texts stay texts, whatever they hold. */
function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children.filter((child) => child !== null));
  return made;
}
