// Ties the list, the map and the detail together, and keeps their state in the address.

const page = document.documentElement;
const find = (selector) => document.querySelector(selector);
const all = (selector) => [...document.querySelectorAll(selector)];

window.addEventListener("error", (event) => showError(event.message));

function showError(message) {
  page.dataset.error = message;
  const banner = find("#script-error");
  banner.hidden = false;
  banner.querySelector("code").textContent = message;
}

filterRules();
for (const link of all("a[data-language]")) {
  link.addEventListener("click", () => { link.href = link.getAttribute("href").split("#")[0] + location.hash; });
}
find("#print").addEventListener("click", () => window.print());
// what stands in the page is painted first; then the list and the map come
requestAnimationFrame(() => setTimeout(start));

async function start() {
  try {
    if (findings.count) {
      await loadFindings();
      openWorkspace();
    }
    page.dataset.state = "ready";
  } catch (error) {
    showError(error.message);
    throw error;
  }
}

function filterRules() {
  const box = find("#rules-filter");
  if (!box) return;
  const apply = () => {
    const status = box.querySelector("input[name=status]:checked").value;
    const text = box.querySelector("input[type=search]").value.trim().toLowerCase();
    let shown = 0;
    for (const group of all("#rules tbody")) {
      let here = 0;
      for (const row of group.querySelectorAll("tr[data-status]")) {
        const isShown = (!status || row.dataset.status === status)
          && (!text || row.textContent.toLowerCase().includes(text));
        row.hidden = !isShown;
        here += isShown;
      }
      group.hidden = !here;
      shown += here;
    }
    find("#rules-empty").hidden = shown > 0;
  };
  box.addEventListener("input", apply);
  apply();
}

function openWorkspace() {
  const list = new FindingList(find("#list"), { onPick: (i) => select(i) });
  const map = new ReportMap(find("#map"), {
    onPick: (i) => select(i, { zoom: false }),
    onMove: () => { if (list.filter.view) refresh({ keep: true }); },
    onPoint: (at) => { find("#readout").textContent = at ? inCrs(map.number, ...at) : ""; },
  });
  const filters = find("#filters");
  let written = null;

  fillFilters();
  map.show(0);
  fillMapTools();
  readAddress();
  window.addEventListener("hashchange", () => { if (location.hash !== written) readAddress(); });
  window.addEventListener("beforeprint", printRows);

  function select(i, { zoom = true, isFromAddress = false } = {}) {
    if (!list.rows.includes(i)) {
      list.filter = { ...NO_FILTER };
      showFilter();
      refresh();
    }
    if (findings.map(i) !== map.number) changeMap(findings.map(i));
    map.selected = i;
    map.pairs = [];
    find("#detail").hidden = false;
    find("#workspace").classList.add("has-selection");
    list.select(i);
    map.resize();
    fitSelected(i, zoom);
    showDetail(find("#detail-body"), i, (pairs) => {
      map.pairs = pairs;
      fitSelected(i, zoom);
      page.dataset.shown = findings.id[i];
    });
    const place = list.rows.indexOf(i);
    find("#position").textContent = say("n_of_m", { n: grouped(place + 1), m: grouped(list.rows.length) });
    page.dataset.selected = findings.id[i];
    if (!isFromAddress) {
      writeAddress();
      if (zoom && isNarrow()) find("#sheet").scrollIntoView({ block: "start" });
    }
  }

  function fitSelected(i, zoom) {
    const places = placesOf(map.number);
    const boxes = places.has(i) ? [places.box(i)] : [];
    for (const pair of map.pairs) {
      for (const side of [pair.before, pair.after]) {
        if (side && pair.layer.map === map.number) boxes.push(side.geometries.box(side.place));
      }
    }
    const box = around(boxes);
    if (zoom && box) map.fit(box, 0.22);
    else map.later();
  }

  function unselect() {
    map.selected = -1;
    map.pairs = [];
    list.select(-1);
    find("#detail").hidden = true;
    find("#workspace").classList.remove("has-selection");
    delete page.dataset.selected;
    map.resize();
    writeAddress();
  }

  function isNarrow() {
    return matchMedia("(max-width: 900px)").matches;
  }

  function isInView(i) {
    if (findings.map(i) !== map.number || !map.places.has(i)) return false;
    return map.places.meets(i, map.bounds());
  }

  function refresh({ keep = false } = {}) {
    const top = find("#list").scrollTop;
    list.apply(isInView);
    if (keep) find("#list").scrollTop = top;
    map.setListed(list.chosen);
    map.draw();
    const isAll = !list.filter.view && !list.filter.gates.length && FILTERS.every((name) => !list.filter[name]);
    const total = list.filter.state ? findings.count : report.total;
    find("#count").textContent = isAll
      ? say("all_findings", { n: grouped(report.total) })
      : say("some_findings", { n: grouped(list.chosen.length), m: grouped(total) });
    find("#list-empty").hidden = list.chosen.length > 0;
    find("#clear").hidden = isAll;
    page.dataset.listed = list.chosen.length;
    page.dataset.rows = find("#list").querySelectorAll(".row").length;
  }

  // ---- filters ----------------------------------------------------------------------------

  function fillFilters() {
    const counts = (values, withFixed = false) => {
      const counted = new Map();
      for (let i = 0; i < findings.count; i++) {
        if (withFixed || !findings.isFixed(i)) counted.set(values(i), (counted.get(values(i)) ?? 0) + 1);
      }
      return counted;
    };
    const fill = (name, values, title, withFixed = false) => {
      const options = [...counts(values, withFixed)].filter(([value]) => value !== "")
        .map(([value, n]) => [value, title(value), n])
        .sort((a, b) => b[2] - a[2] || (a[1] < b[1] ? -1 : 1))
        .map(([value, text, n]) => element("option", { value }, `${text} (${grouped(n)})`));
      filters.elements[name].append(...options);
      filters.elements[name].closest("label").hidden = options.length < (name === "rule" || name === "layer" ? 1 : 2);
    };
    const layerTitles = new Map(report.layers.map((one) => [one.name, one.title]));
    const ruleTitles = new Map(report.rules.map((one) => [one.id, one.title]));
    fill("layer", (i) => findings.layer(i).name, (name) => layerTitles.get(name));
    fill("rule", (i) => findings.rule(i).id, (id) => ruleTitles.get(id));
    fill("class", findings.defectClass, (letter) => say("class_is", { class: letter }));
    const deliveries = new Map(report.deliveries.map((one) => [one.id, one.title]));
    fill("delivery", findings.delivery, (id) => deliveries.get(id));
    fill("state", findings.state, (state) => words[`finding_${state}`], true);
    if (!filters.elements.state.closest("label").hidden) {
      filters.elements.state.append(element("option", { value: "all" }, words.finding_all));
    }
    fill("waived", (i) => (findings.isWaived(i) ? "yes" : "no"), (value) => words[value === "yes" ? "waived" : "open"]);
    const gates = counts(findings.gate);
    for (const gate of GATES) {
      find(`#gate-${gate}`).disabled = !gates.has(gate);
      find(`#gate-${gate} + label output`).textContent = grouped(gates.get(gate) ?? 0);
    }
    let waiting = 0;
    const soon = () => {
      clearTimeout(waiting);
      waiting = setTimeout(readFilter, findings.count > 20000 ? 200 : 0);
    };
    filters.addEventListener("input", soon);
    filters.elements.view.addEventListener("input", soon); // it stands outside the form
    filters.addEventListener("submit", (event) => event.preventDefault());
    find("#clear").addEventListener("click", () => {
      list.filter = { ...NO_FILTER };
      showFilter();
      refresh();
      writeAddress();
    });
    find("#previous").addEventListener("click", () => list.step(-1));
    find("#next").addEventListener("click", () => list.step(1));
    find("#close").addEventListener("click", unselect);
    find("#back").addEventListener("click", () => find("#findings").scrollIntoView());
    find("#sort").addEventListener("input", () => {
      list.order = find("#sort").value;
      list.sort();
    });
    find("#filters-toggle").addEventListener("click", (event) => {
      const isOpen = filters.classList.toggle("is-open");
      event.currentTarget.setAttribute("aria-expanded", String(isOpen));
    });
  }

  function readFilter() {
    const fields = filters.elements;
    list.filter = {
      ...Object.fromEntries(FILTERS.map((name) => [name, fields[name].value.trim()])),
      gates: GATES.filter((gate) => find(`#gate-${gate}`).checked),
      view: fields.view.checked,
    };
    refresh();
    writeAddress();
  }

  function showFilter() {
    const { filter } = list, fields = filters.elements;
    for (const name of FILTERS) fields[name].value = filter[name];
    for (const gate of GATES) find(`#gate-${gate}`).checked = filter.gates.includes(gate);
    fields.view.checked = filter.view;
  }

  // ---- address: #gate=block&rule=…&finding=… ------------------------------------------------

  function writeAddress() {
    const { filter } = list;
    const state = new URLSearchParams();
    for (const name of FILTERS) {
      if (filter[name]) state.set(name, filter[name]);
    }
    for (const gate of filter.gates) state.append("gate", gate);
    if (map.selected >= 0) state.set("finding", findings.id[map.selected]);
    written = `#${state.toString() || "findings"}`;
    if (location.hash !== written) location.replace(written);
  }

  function readAddress() {
    const isState = location.hash.includes("=");
    const state = new URLSearchParams(isState ? location.hash.slice(1) : "");
    list.filter = { ...NO_FILTER, gates: state.getAll("gate").filter((gate) => GATES.includes(gate)) };
    for (const name of FILTERS) {
      list.filter[name] = state.get(name) ?? "";
    }
    showFilter();
    refresh();
    if (!isState) return;
    find("#findings").scrollIntoView();
    const wanted = findings.id.indexOf(state.get("finding") ?? "");
    if (wanted >= 0) select(wanted, { isFromAddress: true });
    else zoomToListed();
    if (wanted >= 0 && isNarrow()) find("#sheet").scrollIntoView({ block: "start" });
  }

  function zoomToListed() {
    const boxes = [];
    for (const i of list.chosen) if (map.places.has(i)) boxes.push(map.places.box(i));
    map.fit(around(boxes));
  }

  // ---- tools of the map -----------------------------------------------------------------------

  function fillMapTools() {
    const tools = {
      "#zoom-in": () => map.zoom(1.6),
      "#zoom-out": () => map.zoom(1 / 1.6),
      "#zoom-all": () => map.fit(map.extent()),
      "#zoom-listed": zoomToListed,
    };
    for (const [selector, action] of Object.entries(tools)) find(selector).addEventListener("click", action);
    find("#legend").addEventListener("input", (event) => {
      if (event.target.name !== "shown") return;
      if (event.target.checked) map.hidden.delete(event.target.value);
      else map.hidden.add(event.target.value);
      map.draw();
    });
    if (matchMedia("(max-width: 1240px)").matches) find("#legend").open = false;
    const choice = find("#map-choice");
    report.maps.forEach((one, number) => {
      choice.append(element("option", { value: number }, `${one.crs} ${one.name}`));
    });
    choice.hidden = report.maps.length < 2;
    find("#crs").hidden = !choice.hidden;
    choice.addEventListener("input", () => {
      changeMap(Number(choice.value));
      refresh({ keep: true });
    });
    describeMap();
  }

  function changeMap(number) {
    map.show(number);
    describeMap();
  }

  function describeMap() {
    find("#map-choice").value = map.number;
    find("#crs").textContent = `${map.frame.crs} ${map.frame.name}`;
    find("#context-legend").replaceChildren(...map.context.map((layer) => {
      const line = element("canvas", { class: "key key-line", width: 26, height: 4 });
      const pen = line.getContext("2d");
      pen.strokeStyle = layer.style.line;
      pen.lineWidth = 2;
      pen.setLineDash(layer.style.dash);
      pen.stroke(new Path2D("M0 2H26"));
      const box = element("input", { type: "checkbox", name: "shown", value: layer.key });
      box.checked = !map.hidden.has(layer.key);
      return element("label", {}, box, line, layer.title);
    }));
  }

  // ---- paper ----------------------------------------------------------------------------------

  function printRows() {
    // a few hundred pages are the most that anybody prints; the rest is counted and in the files
    const most = 5000;
    const rows = [...list.rows.slice(0, most)].map((i) => element("tr", {},
      element("td", { class: "narrow" }, `${findings.defectClass(i)} ${words[`gate_${findings.gate(i)}`]}`,
        findings.state(i) ? element("small", {}, words[`finding_${findings.state(i)}`]) : null,
        findings.isWaived(i) ? element("small", {}, words.waived) : null),
      element("td", { class: "narrow" }, findings.layer(i).title),
      element("td", {}, findings.rule(i).title),
      element("td", {}, element("code", {}, findings.name(i))),
      element("td", {}, findings.found(i)),
      element("td", {}, findings.expected(i))));
    find("#paper tbody").replaceChildren(...rows);
    const rest = list.rows.length - rows.length;
    find("#paper p").textContent = rest > 0 ? say("paper_rest", { n: grouped(rest) }) : "";
  }
}
