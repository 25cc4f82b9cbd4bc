// The drawn sheet: a view of the plane in metres east and north, and what is drawn in it.

const SHADES = {
  block: { line: "#b23a00", fill: "rgba(213, 94, 0, 0.30)" },
  review: { line: "#8f6400", fill: "rgba(230, 159, 0, 0.34)" },
  note: { line: "#00558c", fill: "rgba(0, 114, 178, 0.26)" },
  waived: { line: "#5d6b78", fill: "rgba(120, 130, 140, 0.18)" },
  fixed: { line: "#3f7d4e", fill: "rgba(63, 125, 78, 0.14)" },
  before: { line: "#7a2a72", fill: "transparent" },
  after: { line: "#00705a", fill: "rgba(0, 158, 115, 0.24)" },
};
// lines for orientation: greys of different dash, quieter than any finding
const CONTEXT = [
  { line: "#8fa3b1", dash: [] },
  { line: "#98897a", dash: [7, 3] },
  { line: "#7d8a7a", dash: [2, 3] },
  { line: "#8d7f92", dash: [10, 3, 2, 3] },
  { line: "#8b8b80", dash: [1, 2] },
  { line: "#6f8f8c", dash: [12, 4] },
];
const MARKER = 5;

class Sheet {
  constructor(canvas) {
    this.canvas = canvas;
    this.pen = canvas.getContext("2d");
    this.view = { x: 0, y: 0, scale: 1 };
    this.hidden = new Set();
    this.setListed(new Uint32Array(0));
    this.selected = -1;
    this.pairs = [];
    // in the next frame: a canvas that changes its size inside the observer would call it again
    new ResizeObserver(() => requestAnimationFrame(() => this.resize())).observe(canvas);
  }

  /** Say which findings the sheet shows. */
  setListed(chosen) {
    this.listed = chosen;
    this.isListed = new Uint8Array(findings.count);
    for (const i of chosen) this.isListed[i] = 1;
  }

  /** The listed findings whose boxes meet a box, most severe first. */
  listedWithin(box) {
    return this.places.within(box).filter((i) => this.isListed[i] === 1);
  }

  /** Called after the view moved. */
  moved() {}

  /** Show another map: the layers of one CRS. */
  show(number) {
    this.number = number;
    this.frame = report.maps[number];
    this.places = placesOf(number);
    this.context = context.layers
      .filter((one) => one.map === number)
      .map((one, place) => ({
        key: `context-${one.layer}`,
        title: report.contextTitles[one.layer],
        style: CONTEXT[place % CONTEXT.length],
        geometries: (one.geometries ??= new Geometries(one.block, this.frame.unit)),
      }));
    this.isEmpty = !this.extent();
    this.fit(this.extent());
  }

  /** The box of all findings of the map, else of what is there for orientation; null for none. */
  extent() {
    this.found ??= new Map();
    if (!this.found.has(this.number)) {
      const boxes = [];
      for (let i = 0; i < this.places.count; i++) boxes.push(this.places.box(i));
      this.found.set(this.number, around(boxes));
    }
    const found = this.found.get(this.number);
    if (found) return found;
    return around(this.context.flatMap(({ geometries }) =>
      Array.from({ length: geometries.count }, (_, i) => geometries.box(i))));
  }

  resize() {
    const box = this.canvas.getBoundingClientRect();
    // paper shows the sheet as it was on the screen
    if (!box.width || !box.height || (this.width && matchMedia("print").matches)) return;
    this.ratio = window.devicePixelRatio || 1;
    this.width = box.width;
    this.height = box.height;
    this.canvas.width = Math.round(box.width * this.ratio);
    this.canvas.height = Math.round(box.height * this.ratio);
    if (this.wanted) this.fit(this.wanted);
    this.draw();
  }

  /** Move the view so that a box fills it, `room` of it left free on each side. */
  fit(box, room = 0.08, least = 12) {
    if (!box) return;
    this.wanted = box;
    if (!this.width) return;
    const wide = Math.max(box[2] - box[0], least), high = Math.max(box[3] - box[1], least);
    const free = 1 - 2 * room;
    this.view = {
      x: (box[0] + box[2]) / 2,
      y: (box[1] + box[3]) / 2,
      scale: Math.min((this.width * free) / wide, (this.height * free) / high),
    };
    this.later();
  }

  zoom(factor, px = this.width / 2, py = this.height / 2) {
    this.wanted = null;
    const [x, y] = this.toPlane(px, py);
    const scale = Math.min(Math.max(this.view.scale * factor, 1e-5), 2e4);
    this.view = {
      scale,
      x: x - (px - this.width / 2) / scale,
      y: y + (py - this.height / 2) / scale,
    };
    this.later();
  }

  pan(dx, dy) {
    this.wanted = null;
    this.view.x -= dx / this.view.scale;
    this.view.y += dy / this.view.scale;
    this.later();
  }

  toPlane(px, py) {
    const { x, y, scale } = this.view;
    return [x + (px - this.width / 2) / scale, y - (py - this.height / 2) / scale];
  }

  /** West, south, east, north of what is seen. */
  bounds() {
    const [west, north] = this.toPlane(0, 0);
    const [east, south] = this.toPlane(this.width, this.height);
    return [west, south, east, north];
  }

  later() {
    if (this.isWaiting) return;
    this.isWaiting = true;
    requestAnimationFrame(() => {
      this.isWaiting = false;
      this.draw();
      this.moved();
    });
  }

  // ---- drawing ----------------------------------------------------------------------------

  draw() {
    if (!this.width || !this.places) return;
    const { pen } = this;
    pen.setTransform(this.ratio, 0, 0, this.ratio, 0, 0);
    pen.lineJoin = "round";
    pen.fillStyle = "#fbfbf8";
    pen.fillRect(0, 0, this.width, this.height);
    if (this.isEmpty) {
      pen.fillStyle = "#4b5a67";
      pen.font = "15px system-ui, sans-serif";
      pen.textAlign = "center";
      pen.fillText(words.no_place, this.width / 2, this.height / 2);
      return;
    }
    const seen = this.bounds();
    this.drawGrid(seen);
    for (const layer of this.context) {
      if (!this.hidden.has(layer.key)) this.drawContext(layer, seen);
    }
    if (!this.hidden.has("findings")) this.drawFindings(seen);
    this.drawSelection();
    this.drawScale();
    this.drawNorth();
  }

  drawGrid([west, south, east, north]) {
    const { pen } = this;
    const step = niceLength(130 / this.view.scale);
    const [e0, n0] = this.frame.origin;
    pen.strokeStyle = "#c3cbd1";
    pen.lineWidth = 1;
    pen.beginPath();
    for (let e = Math.ceil((west + e0) / step) * step; e <= east + e0; e += step) {
      for (let n = Math.ceil((south + n0) / step) * step; n <= north + n0; n += step) {
        const [px, py] = this.toScreen(e - e0, n - n0);
        pen.moveTo(px - 4, py);
        pen.lineTo(px + 4, py);
        pen.moveTo(px, py - 4);
        pen.lineTo(px, py + 4);
      }
    }
    pen.stroke();
  }

  drawContext({ geometries, style }, seen) {
    const { pen } = this;
    pen.strokeStyle = style.line;
    pen.lineWidth = 1;
    pen.setLineDash(style.dash);
    pen.beginPath();
    for (let i = 0; i < geometries.count; i++) {
      if (meets(geometries.box(i), seen)) this.trace(geometries, i, 1.5);
    }
    pen.stroke();
    pen.setLineDash([]);
  }

  drawFindings(seen) {
    // most severe first in the list, so drawn last; on a crowded sheet one marker a few pixels
    // is kept, the most severe
    const taken = new Set();
    const marked = [];
    for (const i of this.listedWithin(seen)) {
      const [px, py] = this.marker(i);
      const cell = (px >> 2) * 65536 + (py >> 2);
      const isTiny = this.isTiny(i);
      if (isTiny && taken.has(cell)) continue;
      taken.add(cell);
      marked.push([i, px, py, isTiny]);
    }
    const isCrowded = marked.length > 1500;
    this.pen.globalAlpha = this.selected < 0 ? 1 : 0.4;
    for (let k = marked.length - 1; k >= 0; k--) {
      const [i, px, py, isTiny] = marked[k];
      const shade = this.shade(i);
      if (!isTiny) this.shape(this.places, i, shade, { width: 1.5 });
      else if (!isCrowded) this.drawMarker(i, px, py, MARKER - 1, shade);
      else {
        this.pen.fillStyle = shade.line;
        this.pen.fillRect(px - 2, py - 2, 4, 4);
      }
    }
    this.pen.globalAlpha = 1;
  }

  shade(i) {
    return SHADES[findings.look(i)];
  }

  /** Whether a finding's shape would be too small to see at this scale. */
  isTiny(i) {
    const b = this.places.boxes, k = 4 * i;
    return Math.max(b[k + 2] - b[k], b[k + 3] - b[k + 1]) * this.view.scale < 9;
  }

  marker(i) {
    const b = this.places.boxes, k = 4 * i;
    return this.toScreen((b[k] + b[k + 2]) / 2, (b[k + 1] + b[k + 3]) / 2);
  }

  /** Square for block, triangle for review, circle for note: not by colour alone. */
  drawMarker(i, px, py, size, shade) {
    const { pen } = this;
    pen.beginPath();
    const gate = findings.gateNumber[i];
    if (gate === 0) pen.rect(px - size, py - size, 2 * size, 2 * size);
    else if (gate === 1) {
      pen.moveTo(px, py - size * 1.25);
      pen.lineTo(px + size * 1.2, py + size);
      pen.lineTo(px - size * 1.2, py + size);
      pen.closePath();
    } else pen.arc(px, py, size, 0, 7);
    const isHollow = findings.isWaived(i) || findings.isFixed(i);
    pen.fillStyle = isHollow ? "#ffffff" : shade.line;
    pen.strokeStyle = isHollow ? shade.line : "#ffffff";
    pen.lineWidth = size > 3 ? 1.25 : 0.5;
    pen.setLineDash([]);
    pen.fill();
    pen.stroke();
  }

  drawSelection() {
    const i = this.selected;
    if (i < 0) return;
    const isPlaced = findings.map(i) === this.number && this.places.has(i);
    for (const side of ["after", "before"]) {
      for (const pair of this.pairs) {
        const one = pair[side];
        if (!one || this.hidden.has(side) || pair.layer.map !== this.number || !one.geometries.has(one.place)) continue;
        const isPoint = one.geometries.kind[one.geometries.ringStart[one.place]] === POINT;
        const dash = side === "after" ? [] : isPoint ? [3, 2.5] : [7, 4];
        const width = side === "after" ? 5 : 2.5;
        this.shape(one.geometries, one.place, SHADES[side], { width, dash, radius: 8 });
      }
      // the finding lies between the two sides, so that the outline of each stays to be seen
      if (side === "after" && isPlaced && !this.isTiny(i)) {
        this.shape(this.places, i, this.shade(i), { width: 1.5, hatch: true });
      }
    }
    if (isPlaced && this.isTiny(i)) this.drawRing(i);
  }

  drawRing(i) {
    const { pen } = this;
    const shade = this.shade(i);
    const [px, py] = this.marker(i);
    this.drawMarker(i, px, py, MARKER + 1, shade);
    pen.strokeStyle = "#16212b";
    pen.lineWidth = 2;
    pen.beginPath();
    pen.arc(px, py, 14, 0, 7);
    pen.stroke();
  }

  /** One geometry: fill or hatching, and line. */
  shape(geometries, i, shade, { width, dash = [], radius = 4, hatch = false }) {
    const { pen } = this;
    pen.beginPath();
    this.trace(geometries, i, radius);
    if (geometries.kind[geometries.ringStart[i]] !== LINE) {
      pen.fillStyle = hatch ? hatching(pen, shade.line) : shade.fill;
      pen.fill("evenodd");
    }
    pen.setLineDash(dash);
    if (dash.length) {
      // a white edge keeps the dashes apart from a line that they run along
      pen.strokeStyle = "#ffffff";
      pen.lineWidth = width + 2.5;
      pen.stroke();
    }
    pen.strokeStyle = shade.line;
    pen.lineWidth = width;
    pen.stroke();
    pen.setLineDash([]);
  }

  /** Add a geometry to the pen's path; points become small circles. */
  trace(geometries, i, radius) {
    const { pen } = this;
    const { x, y, kind, pointStart } = geometries;
    for (let r = geometries.ringStart[i]; r < geometries.ringStart[i + 1]; r++) {
      const end = pointStart[r + 1];
      for (let p = pointStart[r]; p < end; p++) {
        const [px, py] = this.toScreen(x[p], y[p]);
        if (kind[r] === POINT) {
          pen.moveTo(px + radius, py);
          pen.arc(px, py, radius, 0, 7);
        } else if (p === pointStart[r]) pen.moveTo(px, py);
        else pen.lineTo(px, py);
      }
      if (kind[r] === RING) pen.closePath();
    }
  }

  toScreen(x, y) {
    const { view } = this;
    return [(x - view.x) * view.scale + this.width / 2, this.height / 2 - (y - view.y) * view.scale];
  }

  drawScale() {
    const { pen } = this;
    const metres = niceLength(110 / this.view.scale);
    const long = metres * this.view.scale, left = 16;
    const base = this.height - (this.width < 800 ? 52 : 18);
    const text = metres >= 1000 ? `${metres / 1000} km` : `${Number(metres.toPrecision(3))} m`;
    pen.fillStyle = "rgba(255, 255, 255, 0.86)";
    pen.fillRect(left - 8, base - 24, long + 16, 34);
    pen.fillStyle = "#16212b";
    pen.fillRect(left, base, long / 2, 5);
    pen.strokeStyle = "#16212b";
    pen.lineWidth = 1;
    pen.strokeRect(left + 0.5, base + 0.5, long, 4);
    pen.font = "12px system-ui, sans-serif";
    pen.textAlign = "left";
    if (long > 60) pen.fillText("0", left, base - 6);
    pen.textAlign = "right";
    pen.fillText(text, left + long, base - 6);
  }

  drawNorth() {
    const { pen } = this;
    const px = this.width - 28, py = 34;
    pen.fillStyle = "rgba(255, 255, 255, 0.86)";
    pen.beginPath();
    pen.arc(px, py, 22, 0, 7);
    pen.fill();
    pen.fillStyle = "#16212b";
    pen.beginPath();
    pen.moveTo(px, py - 17);
    pen.lineTo(px + 6, py + 3);
    pen.lineTo(px, py - 1);
    pen.lineTo(px - 6, py + 3);
    pen.fill();
    pen.font = "600 12px system-ui, sans-serif";
    pen.textAlign = "center";
    pen.fillText(words.north_letter, px, py + 16);
  }
}

/** 1, 2 or 5 times a power of ten, at most the given length. */
function niceLength(most) {
  const power = 10 ** Math.floor(Math.log10(most));
  return (most / power >= 5 ? 5 : most / power >= 2 ? 2 : 1) * power;
}

function meets(a, b) {
  return a[0] <= b[2] && a[2] >= b[0] && a[1] <= b[3] && a[3] >= b[1];
}

function toSegment(px, py, ax, ay, bx, by) {
  const dx = bx - ax, dy = by - ay, square = dx * dx + dy * dy;
  const along = square ? Math.max(0, Math.min(1, ((px - ax) * dx + (py - ay) * dy) / square)) : 0;
  return Math.hypot(px - ax - along * dx, py - ay - along * dy);
}

/** Diagonal lines in a colour. */
function hatching(pen, colour) {
  const tile = document.createElement("canvas");
  tile.width = tile.height = 8;
  const stroke = tile.getContext("2d");
  stroke.strokeStyle = colour;
  stroke.lineWidth = 1.4;
  stroke.beginPath();
  for (const shift of [-8, 0, 8]) {
    stroke.moveTo(shift - 1, 9);
    stroke.lineTo(shift + 9, -1);
  }
  stroke.stroke();
  return pen.createPattern(tile, "repeat");
}
