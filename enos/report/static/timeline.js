// Draws time lines: every lane a chart of uPlot, all of one with the same axis of time.
// Data as `enos.report.timeline.as_json` gives it; times in seconds after its origin.
"use strict";
function drawTimeline(root, data) {
  const GUTTER = 72, RIGHT = 12, ROW = 19, GAP = 3, PLOT = 110, AXIS = 34;
  // Okabe and Ito, "Color Universal Design" (2008): told apart by all kinds of eyes.
  const PALETTE = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9",
                   "#000000", "#8a7f00"];
  const DASHES = [undefined, [6, 3], [2, 3], [12, 3, 2, 3]];  // a round of colours each
  const FILL = {phase: "#5b6470", step: "#c9d1da", scenario: "#0072b2",
                iteration: "#8ec5e8", event: "#e69f00"};
  const INK = {phase: "#fff", step: "#24292f", scenario: "#fff", iteration: "#10324a",
               event: "#241a00"};
  const BAD = "#d55e00";
  const FONT = "11px system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif";

  const [first, last] = data.span;
  const pad = Math.max((last - first) * 0.004, 0.001);
  const whole = [first - pad, last + pad];
  const charts = [];
  const tip = make("div", "tip", document.body);
  const shown = {min: whole[0], max: whole[1]};

  function make(tag, name, parent, text) {
    const node = document.createElement(tag);
    node.className = name;
    if (text !== undefined) node.textContent = text;
    if (parent) parent.append(node);
    return node;
  }

  function two(number) { return String(number).padStart(2, "0"); }

  function clock(seconds, fine) {
    const sign = seconds < 0 ? "−" : "", all = Math.abs(seconds);
    const places = fine ? (fine < 0.1 ? 2 : 1) : 0;
    const whole = places ? Math.floor(all) : Math.round(all);
    const hours = Math.floor(whole / 3600), minutes = Math.floor(whole / 60) % 60;
    const rest = places ? (all - 60 * Math.floor(whole / 60)).toFixed(places).padStart(3 + places, "0")
                        : two(whole % 60);
    return sign + (hours ? hours + ":" + two(minutes) : minutes) + ":" + rest;
  }

  function utc(seconds) {
    return new Date((data.origin + seconds) * 1000).toISOString().slice(0, 19).replace("T", " ") + " UTC";
  }

  function length(seconds) {
    if (seconds < 1) return Math.round(seconds * 1000) + " ms";
    if (seconds < 60) return seconds.toFixed(1) + " s";
    return clock(seconds) + (seconds < 3600 ? " min" : " h");
  }

  const PREFIXES = {"B": 1024, "B/s": 1024};
  const BINARY = Array.from({length: 50}, (_, power) => 2 ** power);
  function value(number, unit) {
    if (number == null) return "–";
    if (unit === "%") return number.toPrecision(3) + " %";
    const step = PREFIXES[unit] || 1000, names = step === 1024
      ? ["", "Ki", "Mi", "Gi", "Ti"] : ["", "k", "M", "G", "T"];
    let size = Math.abs(number), power = 0;
    while (size >= step && power < 4) { size /= step; power += 1; }
    const text = size === 0 ? "0" : size >= 100 ? size.toFixed(0) : String(+size.toPrecision(3));
    return (number < 0 ? "−" : "") + text + (unit || names[power] ? " " + names[power] + unit : "");
  }

  function zoom(min, max) {
    shown.min = Math.max(min, whole[0]);
    shown.max = Math.min(max, whole[1]);
    for (const {u, refresh} of charts) {
      if (refresh) refresh(u);
      u.setScale("x", {min: shown.min, max: shown.max});
    }
    for (const button of root.querySelectorAll(".windows button"))
      button.classList.toggle("on", +button.dataset.min <= shown.min + 0.01 && Math.abs(button.dataset.max - shown.max) < 0.01
        && Math.abs(button.dataset.min - shown.min) < 0.01);
  }

  // --- what all lanes share ------------------------------------------------------

  function marks(u) {
    const c = u.ctx, {left, top, width, height} = u.bbox;
    c.save();
    c.beginPath(); c.rect(left, top, width, height); c.clip();
    c.setLineDash([4 * devicePixelRatio, 3 * devicePixelRatio]);
    c.lineWidth = devicePixelRatio;
    for (const [at, , ok] of data.marks) {
      const x = Math.round(u.valToPos(at, "x", true)) + 0.5;
      c.strokeStyle = ok ? "#b87d00" : BAD;
      c.beginPath(); c.moveTo(x, top); c.lineTo(x, top + height); c.stroke();
    }
    c.restore();
  }

  function base(kind, height, bottom, hooks) {
    return {
      width: 600, height, padding: [2, RIGHT, 2, 0],
      legend: {show: false},
      cursor: {
        y: false, points: {show: kind === "plot", size: 6},
        drag: {x: true, y: false, setScale: false},
        focus: {prox: 16},
        sync: {key: root.id, setSeries: false,
               filters: {pub: (type) => type === "mousemove" || type === "mouseleave"}},
        bind: {dblclick: () => () => { zoom(...whole); return null; }},
      },
      focus: {alpha: 0.25},
      scales: {x: {time: false, auto: false, min: shown.min, max: shown.max}},
      hooks: Object.assign({
        setSelect: [(u) => {
          if (u.select.width < 4) return;
          const min = u.posToVal(u.select.left, "x");
          const max = u.posToVal(u.select.left + u.select.width, "x");
          u.setSelect({left: 0, width: 0, top: 0, height: 0}, false);
          if (max - min > 0.05) zoom(min, max);
        }],
      }, hooks),
      axes: [{
        scale: "x", size: bottom ? AXIS : 0, show: true,
        stroke: "#57606a", font: FONT, gap: 4,
        grid: {stroke: "#e6e9ed", width: 1}, ticks: {show: bottom, stroke: "#c9d1da", size: 5},
        space: 80,
        incrs: [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600,
                900, 1800, 3600, 7200, 14400, 43200, 86400, 172800, 604800],
        values: (u, splits, axis, space, step) => splits.map((v) => bottom ? clock(v, step < 1 ? step : 0) : ""),
      }],
    };
  }

  // --- lanes of bars -------------------------------------------------------------

  // Rows of one kind share some 200 pixels when there are many of them.
  function places(rows) {
    const small = (kind) => kind === "iteration" || kind === "step";
    const many = rows.filter((row) => small(row[0][3])).length;
    const low = Math.min(ROW, Math.max(3, Math.floor(200 / Math.max(many, 1))));
    const tops = [0];
    for (const row of rows) tops.push(tops[tops.length - 1] + (small(row[0][3]) ? low : ROW));
    return tops;
  }

  function drawBars(u, rows, tops) {
    const c = u.ctx, r = devicePixelRatio, {left, top, width, height} = u.bbox;
    c.save();
    c.beginPath(); c.rect(left, top, width, height); c.clip();
    c.font = FONT.replace("11px", 11 * r + "px");
    c.textBaseline = "middle";
    c.textAlign = "left";
    rows.forEach((row, number) => {
      const high = tops[number + 1] - tops[number], gap = high > 8 ? GAP : 1;
      const y = top + tops[number] * r + gap * r / 2, tall = (high - gap) * r;
      row.forEach(([start, end, label, kind, ok], place) => {
        if (end < shown.min || start > shown.max) return;
        const x0 = u.valToPos(start, "x", true);
        const wide = Math.max(u.valToPos(end, "x", true) - x0, 2 * r);
        c.fillStyle = ok ? FILL[kind] : BAD;
        c.fillRect(x0, y, Math.max(wide - r, r), tall);
        const from = Math.max(x0, left) + 4 * r;
        const room = Math.min(x0 + wide, left + width) - from - 4 * r;
        const words = (ok ? "" : "✕ ") + label, middle = y + tall / 2 + r / 2;
        if (kind === "event" && c.measureText(words).width > room) {
          // What changed is worth reading whole: beyond its bar, up to the next one.
          const next = place + 1 < row.length ? u.valToPos(row[place + 1][0], "x", true) : left + width;
          const text = fitted(c, words, next - from - 6 * r);
          c.fillStyle = INK.event;
          if (text) c.fillText(text, from, middle);
        } else if (room > 10 * r && high > 12) {
          c.fillStyle = ok ? INK[kind] : "#fff";
          const text = fitted(c, words, room);
          if (text) c.fillText(text, from, middle);
        }
      });
    });
    c.restore();
  }

  function fitted(c, text, room) {
    if (c.measureText(text).width <= room) return text;
    if (room <= 0) return "";
    let kept = text.length - 1;
    while (kept > 2 && c.measureText(text.slice(0, kept) + "…").width > room) kept -= 1;
    return kept > 2 ? text.slice(0, kept) + "…" : "";
  }

  function bars(lane) {
    let rows = lane.rows, tops = places(rows);
    const options = base("bars", tops[rows.length] + 4, false,
                         {draw: [(u) => drawBars(u, rows, tops), marks]});
    options.scales.y = {auto: false, min: 0, max: 1};
    options.axes.push({scale: "y", size: GUTTER, show: true, grid: {show: false},
                       ticks: {show: false}, values: () => []});
    options.series = [{}, {scale: "y", show: true, paths: () => null, points: {show: false}}];
    const found = (at, y) => {
      const row = rows[tops.findLastIndex((edge) => edge <= y)] || [];
      return row.find(([start, end]) => at >= start && at <= Math.max(end, start + (shown.max - shown.min) / 400));
    };
    // Rows with nothing in what is shown make room for those that have something.
    const refresh = (u) => {
      const seen = lane.rows.filter((row) => row.some(([start, end]) => end >= shown.min && start <= shown.max));
      u.root.closest(".lane").hidden = seen.length === 0;
      rows = seen.length ? seen : lane.rows;
      tops = places(rows);
      u.setSize({width: u.width, height: tops[rows.length] + 4});
    };
    return {options, columns: [[first, last], [null, null]], found, refresh};
  }

  function tellBar([start, end, label, kind, ok, note]) {
    tip.append(make("b", "", null, label));
    if (note) make("div", "", tip, kind === "iteration" ? "iteration of " + note : note);
    make("div", "dim", tip, (ok ? "" : "failed, ") + length(end - start) + ", from " + clock(start, 0.1) + " to " + clock(end, 0.1));
    make("div", "dim", tip, utc(start));
  }

  // --- lanes of lines ------------------------------------------------------------

  function plot(lane) {
    const options = base("plot", PLOT, false, {draw: [marks]});
    options.scales.y = {range: (u, min, max) => [Math.min(0, min ?? 0), (max > 0 ? max : 1) * 1.08]};
    options.padding = [7, RIGHT, 7, 0];
    const unit = lane.unit.length > 5 ? "" : lane.unit;
    options.axes.push({scale: "y", size: GUTTER, incrs: PREFIXES[lane.unit] ? BINARY : undefined, stroke: "#57606a", font: FONT, gap: 4, space: 26,
      grid: {stroke: "#e6e9ed", width: 1}, ticks: {show: false},
      values: (u, splits) => splits.map((v) => value(v, unit))});
    options.series = [{}].concat(lane.lines.map((line, number) => ({
      label: line.label, scale: "y", stroke: PALETTE[number % PALETTE.length], width: 1.5,
      dash: DASHES[Math.floor(number / PALETTE.length) % DASHES.length], points: {show: false},
    })));
    return {options, columns: uPlot.join(lane.lines.map((line) => [line.t, line.v]), lane.lines.map(() => [0, 1]))};
  }

  function near(u, series, index) {
    // Lines are sampled at their own moments: the nearest one within the picture's reach.
    const xs = u.data[0], ys = u.data[series];
    for (let step = 0; step < 40; step += 1)
      for (const at of [index - step, index + step])
        if (ys[at] != null && xs[at] !== undefined) return ys[at];
    return null;
  }

  // --- the page ------------------------------------------------------------------

  function draw(lane) {
    const box = make("div", "lane " + lane.kind, root);
    const side = make("div", "side", box);
    const long = lane.unit && lane.unit.length > 5 && !lane.title.includes(lane.unit);
    make("div", "title", side, lane.title + (long ? " (" + lane.unit + ")" : ""));
    const made = lane.kind === "bars" ? bars(lane) : plot(lane);
    const place = make("div", "chart", box);
    const u = new uPlot(made.options, made.columns, place);
    charts.push({u, refresh: made.refresh});
    const readings = (lane.lines || []).map((line, number) => {
      const item = make("button", "key", side);
      item.title = line.label + ": show or hide";
      const dot = make("i", "", item);
      dot.style.background = PALETTE[number % PALETTE.length];
      make("span", "name", item, line.label);
      const told = make("span", "now", item, "");
      item.onclick = () => {
        const on = !u.series[number + 1].show;
        u.setSeries(number + 1, {show: on});
        item.classList.toggle("off", !on);
      };
      return told;
    });
    u.over.addEventListener("mousemove", (event) => point(u, made, lane, event));
    u.over.addEventListener("mouseleave", () => { tip.style.display = "none"; });
    u.hooks.setCursor = [() => readings.forEach((told, number) => {
      told.textContent = u.cursor.idx == null ? "" : value(near(u, number + 1, u.cursor.idx), lane.unit);
    })];
  }

  function axis() {
    const box = make("div", "lane", root);
    make("div", "side", box);
    const options = base("bars", AXIS + 4, true, {});
    options.scales.y = {auto: false, min: 0, max: 1};
    options.axes.push({scale: "y", size: GUTTER, show: true, grid: {show: false},
                       ticks: {show: false}, values: () => []});
    options.series = [{}, {scale: "y", paths: () => null, points: {show: false}}];
    charts.push({u: new uPlot(options, [[first, last], [null, null]], make("div", "chart", box))});
    make("div", "axis dim", root, "time since " + utc(0));
  }

  function point(u, made, lane, event) {
    const at = u.posToVal(event.offsetX, "x");
    tip.replaceChildren();
    const bar = made.found && made.found(at, event.offsetY);
    if (bar) tellBar(bar);
    else { make("div", "", tip, clock(at, 0.1)); make("div", "dim", tip, utc(at)); }
    const reach = 4 * (shown.max - shown.min) / u.over.clientWidth;
    for (const [moment, label] of data.marks)
      if (Math.abs(moment - at) < reach) make("div", "mark", tip, label);
    tip.style.display = "block";
    const right = event.pageX + tip.offsetWidth + 24 > document.documentElement.clientWidth;
    tip.style.left = event.pageX + (right ? -tip.offsetWidth - 12 : 14) + "px";
    tip.style.top = event.pageY + 14 + "px";
  }

  function buttons() {
    const bar = make("div", "windows", root);
    for (const [label, min, max] of [["whole", ...whole], ...data.windows]) {
      const button = make("button", "", bar, label);
      button.dataset.min = Math.max(min, whole[0]);
      button.dataset.max = Math.min(max, whole[1]);
      button.onclick = () => zoom(+button.dataset.min, +button.dataset.max);
    }
    make("span", "dim", bar, "drag to zoom, double-click for all");
  }

  buttons();
  data.lanes.forEach(draw);
  axis();
  function fit() {
    const width = Math.max(charts[charts.length - 1].u.root.parentNode.clientWidth, 200);
    for (const {u} of charts) u.setSize({width, height: u.height});
  }
  new ResizeObserver(fit).observe(root);
  fit();
  root.dataset.ready = data.lanes.length;
  zoom(...data.shown[0] === first && data.shown[1] === last ? whole : data.shown);
}

for (const root of document.querySelectorAll(".timeline"))
  drawTimeline(root, JSON.parse(document.getElementById(root.id + "-data").textContent));
