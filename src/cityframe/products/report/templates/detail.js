// One finding in full: what was found, and each feature before and after.

/** Show a finding; its features follow when they are unpacked, then `onPairs` is told. */
function showDetail(box, i, onPairs) {
  const rule = findings.rule(i), label = (text) => element("span", { class: "label" }, text);
  const head = element("header", { class: `detail-head gate-${findings.look(i)}` },
    gateSign(i),
    element("div", {},
      element("h3", {}, rule.title),
      element("p", { class: "detail-labels" },
        label(words[`gate_${findings.gate(i)}`]),
        label(say("class_is", { class: findings.defectClass(i) })),
        findings.state(i) ? label(words[`finding_${findings.state(i)}`]) : null,
        findings.isWaived(i) ? label(words.waived) : null)));
  const found = element("dl", { class: "found" },
    element("dt", {}, words.found), element("dd", { class: "is-found" }, findings.found(i)),
    element("dt", {}, words.expected), element("dd", {}, findings.expected(i) || "–"));
  const place = element("div", {});
  box.replaceChildren(head, found, place, facts(i, rule));
  const fill = () => {
    const pairs = featuresOf(i);
    place.replaceChildren(...featureTables(pairs));
    onPairs(pairs);
  };
  if (features) fill();
  else loadFeatures().then(() => { if (place.isConnected) fill(); });
}

function facts(i, rule) {
  const list = element("dl", { class: "facts" });
  const add = (name, value, isCode = false) => {
    if (value === "" || value === null || value === undefined) return;
    const shown = element("dd", {}, isCode ? element("code", {}, String(value)) : String(value));
    list.append(element("dt", {}, words[name]), shown);
  };
  add("layer", findings.layer(i).title);
  add("uid", findings.uid(i), true);
  add("other_features", findings.other(i).replaceAll(",", ", "), true);
  add("source_key", findings.sourceKey(i), true);
  add("record", findings.record(i));
  add("delivery", findings.delivery(i), true);
  add("rule", findings.ruleVersion(i) ? `${rule.id} v${findings.ruleVersion(i)}` : rule.id, true);
  add("measure", rule.measure);
  add("place", middle(i));
  add("first_seen", findings.firstSeen(i), true);
  add("waiver", findings.waiver(i), true);
  add("finding_id", findings.id[i], true);
  return element("details", { class: "more", open: "" }, element("summary", {}, words.facts), list);
}

/** The middle of a finding's box in the CRS, to the centimetre. */
function middle(i) {
  const map = findings.map(i), places = placesOf(map);
  if (!places.has(i)) return words.no_place;
  const [west, south, east, north] = places.box(i);
  return inCrs(map, (west + east) / 2, (south + north) / 2);
}

function inCrs(map, x, y) {
  const [east, north] = report.maps[map].origin;
  return `${words.east} ${(x + east).toFixed(2)}  ${words.north} ${(y + north).toFixed(2)}`;
}

function featureTables(pairs) {
  if (!pairs.length) return [element("p", { class: "empty" }, words.no_features)];
  return pairs.map((pair) => {
    const names = new Set([...keys(pair.before), ...keys(pair.after)]);
    const rows = [...names].map((name) => attributeRow(pair, name));
    const changed = rows.filter((row) => row.classList.contains("is-changed")).length;
    return element("section", { class: "feature" },
      element("h4", {},
        pair.layer.title, " ", element("code", {}, pair.uid || "–"),
        element("span", { class: "feature-state" }, state(pair, changed))),
      element("div", { class: "scroll" },
        element("table", { class: "sides" },
          element("thead", {}, element("tr", {},
            element("th", { scope: "col" }, words.attribute),
            element("th", { scope: "col", class: "side-before" }, words.before),
            element("th", { scope: "col", class: "side-after" }, words.after))),
          element("tbody", {}, ...rows))));
  });
}

function keys(side) {
  return side ? side.attributes.keys() : [];
}

function state(pair, changed) {
  if (!pair.before) return words.is_new;
  if (!pair.after) return words.is_removed;
  const isMoved = pair.before.place !== pair.after.place;
  const parts = [];
  if (isMoved) parts.push(words.geometry_changed);
  if (changed) parts.push(say("attributes_changed", { n: changed }));
  return parts.join(words.comma) || words.is_same;
}

function attributeRow(pair, name) {
  const [title, unit] = pair.layer.attributes[name] ?? [name, ""];
  const before = pair.before?.attributes.get(name), after = pair.after?.attributes.get(name);
  const isChanged = Boolean(pair.before && pair.after) && before !== after;
  return element("tr", isChanged ? { class: "is-changed" } : {},
    element("th", { scope: "row", title: name }, unit ? `${title} (${unit})` : title,
      isChanged ? sign("changed", words.changed) : null),
    valueCell(pair.before, before),
    valueCell(pair.after, after));
}

/** A value; null and absent are said, they are not the same. */
function valueCell(side, value) {
  if (!side) return element("td", { class: "no-value" }, "");
  if (value === undefined) return element("td", { class: "no-value" }, words.absent);
  if (value === null) return element("td", { class: "no-value" }, words.null_value);
  if (typeof value === "boolean") return element("td", {}, words[value ? "yes" : "no"]);
  return element("td", {}, typeof value === "object" ? JSON.stringify(value) : String(value));
}
