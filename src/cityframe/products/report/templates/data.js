// Reads the columns that stand in the page; docs/formats/report.md has their form.

const report = JSON.parse(document.getElementById("report-data").textContent);
const words = report.words;

const GATES = ["block", "review", "note"];
const CLASSES = ["A", "B", "C", "D"];
const STATES = ["", "new", "persisting", "come-back", "fixed"];
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

  /** Whether a geometry's box meets a box. */
  meets(i, [west, south, east, north]) {
    const b = this.boxes, k = 4 * i;
    return b[k] <= east && b[k + 2] >= west && b[k + 1] <= north && b[k + 3] >= south;
  }

  /** Numbers of the geometries whose boxes meet a box, in their order. */
  within(box) {
    this.index ??= new CellIndex(this);
    return this.index.within(box);
  }
}

/** Geometries by the cell of their middle, so that a small view looks at few of them. */
class CellIndex {
  constructor(geometries) {
    this.geometries = geometries;
    const b = geometries.boxes, n = geometries.count;
    const all = around(Array.from({ length: n }, (_, i) => geometries.box(i))) ?? [0, 0, 1, 1];
    this.origin = all;
    this.across = Math.max(1, Math.min(256, Math.floor(Math.sqrt(n / 8))));
    this.size = Math.max((all[2] - all[0]) / this.across, (all[3] - all[1]) / this.across, 1e-6);
    this.reach = 0;
    const cell = new Int32Array(n).fill(-1);
    this.start = new Uint32Array(this.across * this.across + 1);
    for (let i = 0; i < n; i++) {
      if (!geometries.has(i)) continue;
      const k = 4 * i;
      this.reach = Math.max(this.reach, (b[k + 2] - b[k]) / 2, (b[k + 3] - b[k + 1]) / 2);
      cell[i] = this.column((b[k] + b[k + 2]) / 2, 0) + this.across * this.column((b[k + 1] + b[k + 3]) / 2, 1);
      this.start[cell[i] + 1]++;
    }
    for (let c = 0; c < this.across * this.across; c++) this.start[c + 1] += this.start[c];
    const next = this.start.slice();
    this.members = new Uint32Array(n);
    for (let i = 0; i < n; i++) if (cell[i] >= 0) this.members[next[cell[i]]++] = i;
  }

  column(value, axis) {
    return Math.max(0, Math.min(this.across - 1, Math.floor((value - this.origin[axis]) / this.size)));
  }

  within(box) {
    const { reach, across, start, members, geometries } = this;
    const west = this.column(box[0] - reach, 0), east = this.column(box[2] + reach, 0);
    const south = this.column(box[1] - reach, 1), north = this.column(box[3] + reach, 1);
    const hits = [];
    for (let row = south; row <= north; row++) {
      for (let m = start[row * across + west]; m < start[row * across + east + 1]; m++) {
        if (geometries.meets(members[m], box)) hits.push(members[m]);
      }
    }
    return Uint32Array.from(hits).sort();
  }
}

/** The smallest box around boxes; null around none. */
function around(boxes) {
  let west = Infinity, south = Infinity, east = -Infinity, north = -Infinity;
  for (const box of boxes) {
    if (!(box[0] <= box[2])) continue;
    if (box[0] < west) west = box[0];
    if (box[1] < south) south = box[1];
    if (box[2] > east) east = box[2];
    if (box[3] > north) north = box[3];
  }
  return west <= east ? [west, south, east, north] : null;
}

/** A part of the page's data: JSON, deflated, in base64; null where the page has none. */
async function unpack(name) {
  const packed = document.getElementById(`pack-${name}`);
  if (!packed) return null;
  const stream = new DecompressionStream("deflate");
  const writer = stream.writable.getWriter();
  const written = writer.write(bytesOf(packed.textContent)).then(() => writer.close());
  const decoder = new TextDecoder(), texts = [];
  const reader = stream.readable.getReader();
  for (let { value, done } = await reader.read(); !done; { value, done } = await reader.read()) {
    texts.push(decoder.decode(value, { stream: true }));
  }
  await written;
  packed.remove();
  return JSON.parse(texts.join("") + decoder.decode());
}

function bytesOf(base64) {
  if (Uint8Array.fromBase64) return Uint8Array.fromBase64(base64);
  const text = atob(base64), bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  return bytes;
}

/** A part that is unpacked once, when it is first asked for. */
function once(name) {
  let promise = null;
  return () => (promise ??= unpack(name));
}

const context = { layers: [] };
const findings = { count: report.count };
let raw = null;

/** Unpack the findings, their texts and the map's background. */
async function loadFindings() {
  const [columns, texts, background] = await Promise.all([
    unpack("findings"), unpack("texts"), unpack("context"),
  ]);
  raw = columns;
  context.layers = background ?? [];
  const waivedPlaces = new Uint8Array(raw.n);
  for (const place of raw.waived) waivedPlaces[place] = 1;
  Object.assign(findings, {
    id: raw.id,
    rule: (i) => report.rules[raw.rule[i]],
    layer: (i) => report.layers[raw.layer[i]],
    gate: (i) => GATES[raw.gate[i]],
    gateNumber: raw.gate,
    defectClass: (i) => CLASSES[raw.class[i]],
    delivery: (i) => report.deliveries[raw.delivery[i]].id,
    isWaived: (i) => waivedPlaces[i] === 1,
    state: (i) => STATES[raw.state[i]],
    isFixed: (i) => raw.state[i] === 4,
    map: (i) => report.layers[raw.layer[i]].map,
    record: column(raw.record),
    uid: column(raw.uid),
    sourceKey: column(raw.source_key),
    other: column(raw.other),
    ruleVersion: column(raw.rule_version),
    waiver: column(raw.waiver),
    firstSeen: column(raw.first_seen),
    found: column(texts.found),
    expected: column(texts.expected),
    /** How a finding is drawn: by its gate while it is open. */
    look: (i) => (raw.state[i] === 4 ? "fixed" : waivedPlaces[i] ? "waived" : GATES[raw.gate[i]]),
    /** What people call the feature: its uid, else the key that the source gave it. */
    name(i) {
      if (this.uid(i)) return this.uid(i);
      if (this.sourceKey(i)) return this.sourceKey(i);
      return this.record(i) === null ? say("whole_layer") : say("record_n", { n: this.record(i) });
    },
  });
}

/** The places of the findings on one map, decoded when first asked for. */
const decodedPlaces = new Map();
function placesOf(map) {
  if (!decodedPlaces.has(map)) {
    decodedPlaces.set(map, new Geometries(raw.places[map], report.maps[map].unit));
  }
  return decodedPlaces.get(map);
}

/** The features that findings concern, unpacked when the first one is shown. */
const unpackedFeatures = once("features");
let features = null;

async function loadFeatures() {
  if (features) return;
  const unpacked = await unpackedFeatures();
  if (features) return;
  const start = new Uint32Array(raw.n + 1);
  for (let i = 0; i < raw.n; i++) start[i + 1] = start[i] + unpacked.counts[i];
  features = { ...unpacked, first: start };
}

function tableOf(feature) {
  return features.tables.find(
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

/** The features of a finding, paired before and after; after `loadFeatures`. */
function featuresOf(finding) {
  const pairs = new Map();
  for (let k = features.first[finding]; k < features.first[finding + 1]; k++) {
    const table = tableOf(features.of[k]);
    const row = features.of[k] - table.start;
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
