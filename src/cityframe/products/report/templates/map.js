// The map: a sheet that answers to mouse, touch and keyboard.

class ReportMap extends Sheet {
  /** `onPick(finding)`, `onMove()` after the view moved, `onPoint([x, y] or null)`. */
  constructor(canvas, { onPick, onMove, onPoint }) {
    super(canvas);
    this.onPick = onPick;
    this.onMove = onMove;
    this.onPoint = onPoint;
    this.pointers = new Map();
    this.listen();
  }

  moved() {
    this.onMove();
  }

  /** The listed findings under a screen point, nearest first. */
  at(px, py) {
    const [x, y] = this.toPlane(px, py);
    const reach = 9 / this.view.scale;
    const near = [x - reach, y - reach, x + reach, y + reach];
    const hits = [];
    for (const i of this.listedWithin(near)) {
      const [mx, my] = this.marker(i);
      const distance = this.isTiny(i) ? Math.hypot(mx - px, my - py) : this.distance(i, px, py);
      if (distance <= 9) hits.push([distance, i]);
    }
    return hits.sort((a, b) => a[0] - b[0] || a[1] - b[1]).map((hit) => hit[1]);
  }

  /** Pixels from a point to a finding's shape; 0 inside a polygon. */
  distance(i, px, py) {
    const g = this.places;
    let least = Infinity, isInside = false;
    for (let r = g.ringStart[i]; r < g.ringStart[i + 1]; r++) {
      const first = g.pointStart[r], last = g.pointStart[r + 1] - 1;
      let [ax, ay] = this.toScreen(g.x[first], g.y[first]);
      if (g.kind[r] === POINT) least = Math.min(least, Math.hypot(ax - px, ay - py));
      for (let p = first + 1; p <= last; p++) {
        const [bx, by] = this.toScreen(g.x[p], g.y[p]);
        least = Math.min(least, toSegment(px, py, ax, ay, bx, by));
        if (g.kind[r] === RING && ay > py !== by > py && px < ((bx - ax) * (py - ay)) / (by - ay) + ax) {
          isInside = !isInside;
        }
        [ax, ay] = [bx, by];
      }
    }
    return isInside ? 0 : least;
  }

  /** Pick at a point; again at the same place takes the next one below. */
  pick(px, py) {
    const hits = this.at(px, py);
    if (!hits.length) return;
    this.onPick(hits[(hits.indexOf(this.selected) + 1) % hits.length]);
  }

  // ---- mouse, touch, keyboard -------------------------------------------------------------

  listen() {
    const { canvas } = this;
    const place = (event) => {
      const box = canvas.getBoundingClientRect();
      return [event.clientX - box.left, event.clientY - box.top];
    };
    canvas.addEventListener("pointerdown", (event) => {
      canvas.setPointerCapture(event.pointerId);
      this.pointers.set(event.pointerId, place(event));
      this.travelled = this.pointers.size > 1 ? Infinity : 0;
    });
    canvas.addEventListener("pointermove", (event) => {
      const now = place(event);
      this.onPoint(this.toPlane(...now));
      const before = this.pointers.get(event.pointerId);
      if (!before) {
        if (event.pointerType === "mouse") this.hover(now);
        return;
      }
      this.drag(event.pointerId, before, now);
    });
    const lift = (event) => {
      const at = this.pointers.get(event.pointerId);
      this.pointers.delete(event.pointerId);
      if (event.type === "pointerup" && at && this.travelled < 5) this.pick(...at);
    };
    canvas.addEventListener("pointerup", lift);
    canvas.addEventListener("pointercancel", lift);
    canvas.addEventListener("pointerleave", () => this.onPoint(null));
    canvas.addEventListener("dblclick", (event) => this.zoom(2, ...place(event)));
    canvas.addEventListener("wheel", (event) => {
      event.preventDefault();
      const lines = event.deltaMode === 1 ? 30 : 1;
      this.zoom(Math.exp(-Math.max(-300, Math.min(300, event.deltaY * lines)) / 400), ...place(event));
    }, { passive: false });
    canvas.addEventListener("keydown", (event) => this.key(event));
  }

  hover([px, py]) {
    if (this.isHovering) return;
    this.isHovering = true;
    requestAnimationFrame(() => {
      this.isHovering = false;
      this.canvas.style.cursor = this.places && this.at(px, py).length ? "pointer" : "grab";
    });
  }

  /** One pointer drags the sheet, two stretch it. */
  drag(id, before, now) {
    const other = [...this.pointers.entries()].find(([one]) => one !== id)?.[1];
    if (other) {
      const was = Math.hypot(before[0] - other[0], before[1] - other[1]);
      const is = Math.hypot(now[0] - other[0], now[1] - other[1]);
      this.pan((now[0] - before[0]) / 2, (now[1] - before[1]) / 2);
      if (was > 0) this.zoom(is / was, (now[0] + other[0]) / 2, (now[1] + other[1]) / 2);
    } else {
      this.travelled += Math.hypot(now[0] - before[0], now[1] - before[1]);
      if (this.travelled >= 5) this.pan(now[0] - before[0], now[1] - before[1]);
    }
    this.pointers.set(id, now);
  }

  key(event) {
    const step = event.shiftKey ? 160 : 60;
    const actions = {
      ArrowLeft: () => this.pan(step, 0),
      ArrowRight: () => this.pan(-step, 0),
      ArrowUp: () => this.pan(0, step),
      ArrowDown: () => this.pan(0, -step),
      "+": () => this.zoom(1.5),
      "=": () => this.zoom(1.5),
      "-": () => this.zoom(1 / 1.5),
      0: () => this.fit(this.extent()),
      Enter: () => this.pickNearest(),
    };
    if (!actions[event.key] || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    actions[event.key]();
  }

  /** Take the listed finding nearest to the middle of the sheet. */
  pickNearest() {
    let nearest = -1, least = Infinity;
    for (const i of this.listed) {
      if (!this.places.has(i)) continue;
      const [px, py] = this.marker(i);
      const distance = Math.hypot(px - this.width / 2, py - this.height / 2);
      if (distance < least) [nearest, least] = [i, distance];
    }
    if (nearest >= 0) this.onPick(nearest);
  }
}
