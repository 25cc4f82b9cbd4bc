// Reads the columns that stand in the page; docs/formats/report.md has their form.

const report = JSON.parse(document.getElementById("report-data").textContent);
const words = report.words;

const GATES = ["block", "review", "note"];
const CLASSES = ["A", "B", "C", "D"];
const POINT = 1, LINE = 2, RING = 3;

/** A text with {names} replaced by values. */
function say(key, values = {}) {
  return words[key].replace(/\{(\w+)\}/g, (_, name) => values[name]);
}

/** A count with separators between thousands. */
function grouped(number) {
  return String(number).replace(/\B(?=(\d{3})+$)/g, ",");
}

/** A function from place to value over a column that is plain or has distinct values. */
function column(encoded) {
  if (Array.isArray(encoded)) return (place) => encoded[place];
  return (place) => encoded.values[encoded.at[place]];
}

/** The value at a place of a numeric column, which is written once where all are equal. */
function repeated(values) {
  return values.length === 1 ? () => values[0] : (place) => values[place];
}

/** Geometries as flat arrays: metres from the map's origin, rings by geometry, boxes. */
class Geometries {
  constructor(block, unit) {
    const rings = repeated(block.rings), sizes = repeated(block.sizes), kinds = repeated(block.kinds);
    this.count = block.n;
    this.ringStart = new Uint32Array(block.n + 1);
    for (let i = 0; i < block.n; i++) this.ringStart[i + 1] = this.ringStart[i] + rings(i);
    this.pointStart = new Uint32Array(block.m + 1);
    this.kind = new Uint8Array(block.m);
    for (let r = 0; r < block.m; r++) {
      this.pointStart[r + 1] = this.pointStart[r] + sizes(r);
      this.kind[r] = kinds(r);
    }
    const total = block.x.length;
    this.x = new Float64Array(total);
    this.y = new Float64Array(total);
    for (let p = 0, x = 0, y = 0; p < total; p++) {
      x += block.x[p];
      y += block.y[p];
      this.x[p] = x * unit;
      this.y[p] = y * unit;
    }
    this.boxes = new Float64Array(4 * block.n);
    for (let i = 0; i < block.n; i++) this.measure(i);
  }

  measure(i) {
    let west = Infinity, south = Infinity, east = -Infinity, north = -Infinity;
    const end = this.pointStart[this.ringStart[i + 1]];
    for (let p = this.pointStart[this.ringStart[i]]; p < end; p++) {
      if (this.x[p] < west) west = this.x[p];
      if (this.x[p] > east) east = this.x[p];
      if (this.y[p] < south) south = this.y[p];
      if (this.y[p] > north) north = this.y[p];
    }
    this.boxes.set([west, south, east, north], 4 * i);
  }

  has(i) {
    return this.ringStart[i + 1] > this.ringStart[i];
  }

  box(i) {
    return this.boxes.subarray(4 * i, 4 * i + 4);
  }
}

/** The smallest box around boxes; null around none. */
function around(boxes) {
  let all = null;
  for (const box of boxes) {
    if (!(box[0] <= box[2])) continue;
    all = all
      ? [Math.min(all[0], box[0]), Math.min(all[1], box[1]), Math.max(all[2], box[2]), Math.max(all[3], box[3])]
      : [box[0], box[1], box[2], box[3]];
  }
  return all;
}

const raw = report.findings;
const waivedPlaces = new Uint8Array(raw.n);
for (const place of raw.waived) waivedPlaces[place] = 1;

const findings = {
  count: raw.n,
  id: raw.id,
  rule: (i) => report.rules[raw.rule[i]],
  layer: (i) => report.layers[raw.layer[i]],
  gate: (i) => GATES[raw.gate[i]],
  gateNumber: raw.gate,
  defectClass: (i) => CLASSES[raw.class[i]],
  classNumber: raw.class,
  delivery: (i) => report.deliveries[raw.delivery[i]],
  isWaived: (i) => waivedPlaces[i] === 1,
  map: (i) => report.layers[raw.layer[i]].map,
  record: column(raw.record),
  uid: column(raw.uid),
  sourceKey: column(raw.source_key),
  other: column(raw.other),
  found: column(raw.found),
  expected: column(raw.expected),
  /** What people call the feature: its uid, else the key that the source gave it. */
  name(i) {
    if (this.uid(i)) return this.uid(i);
    if (this.sourceKey(i)) return this.sourceKey(i);
    return this.record(i) === null ? say("whole_layer") : say("record_n", { n: this.record(i) });
  },
};

/** The places of the findings on one map, decoded when first asked for. */
const decodedPlaces = new Map();
function placesOf(map) {
  if (!decodedPlaces.has(map)) {
    decodedPlaces.set(map, new Geometries(raw.places[map], report.maps[map].unit));
  }
  return decodedPlaces.get(map);
}

/** The features that a finding concerns, paired before and after. */
const featureStart = new Uint32Array(raw.n + 1);
for (let i = 0; i < raw.n; i++) featureStart[i + 1] = featureStart[i] + report.features.counts[i];

function tableOf(feature) {
  return report.features.tables.find(
    (table) => feature >= table.start && feature < table.start + table.side.length,
  );
}

function attributesOf(table, row) {
  const values = new Map();
  for (const [name, encoded] of Object.entries(table.attributes)) {
    if (encoded.at[row] >= 0) values.set(name, encoded.values[encoded.at[row]]);
  }
  return values;
}

function featuresOf(finding) {
  const pairs = new Map();
  for (let k = featureStart[finding]; k < featureStart[finding + 1]; k++) {
    const table = tableOf(report.features.of[k]);
    const row = report.features.of[k] - table.start;
    const layer = report.layers[table.layer];
    table.geometries ??= new Geometries(table.block, report.maps[layer.map].unit);
    table.uids ??= column(table.uid);
    const uid = table.uids(row), side = table.side[row] === 0 ? "before" : "after";
    let key = `${layer.name}\n${uid}`;
    while (pairs.get(key)?.[side]) key += "\n"; // features that came without a uid
    if (!pairs.has(key)) pairs.set(key, { layer, uid, before: null, after: null });
    pairs.get(key)[side] = {
      attributes: attributesOf(table, row),
      geometries: table.geometries,
      place: table.place[row],
    };
  }
  return joined([...pairs.values()]);
}

/** Join the one feature that came without a uid with the only one that has no other side. */
function joined(pairs) {
  const nameless = pairs.filter((pair) => !pair.uid && !pair.before);
  if (nameless.length !== 1) return pairs;
  const open = pairs.filter((pair) => pair.uid && !pair.after && pair.layer === nameless[0].layer);
  if (open.length !== 1) return pairs;
  open[0].after = nameless[0].after;
  return pairs.filter((pair) => pair !== nameless[0]);
}
