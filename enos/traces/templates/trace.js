"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const spans = data.spans;
  const ROW = 22, OPEN = 3; // levels that are unfolded at first
  const COLOURS = ["--c0", "--c1", "--c2", "--c3"];
  const by = (id) => document.getElementById(id);
  const made = (tag, className, text) => {
    const node = document.createElement(tag);
    if (className) node.className = className;
    if (text !== undefined) node.textContent = text;
    return node;
  };
  const ms = (value) => value < 10 ? value.toFixed(2) : value.toFixed(value < 1000 ? 1 : 0);

  spans.forEach((span, at) => {
    span.at = at;
    span.depth = span.parent < 0 ? 0 : spans[span.parent].depth + 1;
    span.children = 0;
    if (span.parent >= 0) spans[span.parent].children += 1;
    span.calls = 0; // that are not statements
    for (let at = span.parent; at >= 0 && span.category !== 2; at = spans[at].parent) spans[at].calls += 1;
    span.words = [span.operation, span.what, span.service, span.host, span.error]
      .filter(Boolean).join(" ").toLowerCase();
  });
  spans.forEach((span) => { span.open = span.depth < OPEN && span.calls > 0; });
  const waits = new Map();
  for (const [at, begin, end] of data.path) {
    if (!waits.has(at)) waits.set(at, []);
    waits.get(at).push([begin, end]);
  }

  // Tree and time line: `shown` are the rows that are unfolded, only those in sight exist.
  const box = by("tree"), rows = by("rows"), axis = by("axis");
  let shown = [], from = 0, to = Math.max(data.end, 0.001), hits = new Set();

  function choose() {
    const wanted = by("search").value.trim().toLowerCase();
    const onPath = by("only-path").checked;
    hits = new Set();
    const kept = new Set();
    const keep = (span) => {
      for (let at = span.at; at >= 0 && !kept.has(at); at = spans[at].parent) kept.add(at);
    };
    for (const span of spans) {
      const hit = wanted && span.words.includes(wanted);
      if (hit) hits.add(span.at);
      if ((!wanted || hit) && (!onPath || waits.has(span.at))) keep(span);
    }
    const forced = wanted || onPath;
    let closed = -1; // depth of the folded span that hides what follows
    shown = [];
    for (const span of spans) {
      if (closed >= 0 && span.depth > closed) continue;
      closed = -1;
      if (!kept.has(span.at)) continue;
      shown.push(span);
      if (!forced && !span.open && span.children) closed = span.depth;
    }
    by("count").textContent = wanted ? `${hits.size} found` : `${shown.length} of ${spans.length} spans`;
    rows.style.height = `${shown.length * ROW}px`;
    draw();
  }

  function draw() {
    const first = Math.max(0, Math.floor(box.scrollTop / ROW) - 5);
    const last = Math.min(shown.length, first + Math.ceil(box.clientHeight / ROW) + 12);
    rows.replaceChildren(...shown.slice(first, last).map((span, n) => row(span, first + n)));
  }

  const share = (at) => 100 * (at - from) / (to - from);

  function bar(tag, className, begin, end) {
    const node = made(tag, className);
    node.style.left = `${share(begin)}%`;
    node.style.width = `${share(end) - share(begin)}%`;
    return node;
  }

  function row(span, n) {
    const node = made("div", "row");
    node.style.top = `${n * ROW}px`;
    if (span.error) node.classList.add("failed");
    if (hits.has(span.at)) node.classList.add("hit");
    const name = made("div", "name");
    name.style.paddingLeft = `${6 + span.depth * 13}px`;
    const fold = made("button", "", span.children ? (span.open ? "▾" : "▸") : "");
    fold.setAttribute("aria-label", span.open ? "fold" : "unfold");
    fold.onclick = () => { span.open = !span.open; choose(); };
    name.append(fold, made("span", "what", span.operation),
      made("span", "who", `${span.service} @ ${span.host}`),
      made("span", "ms", `${ms(span.end - span.begin)}`));
    const bars = made("div", "bars");
    if (span.reach) bars.append(bar("i", `thread c${span.category}`, span.end, span.reach));
    bars.append(bar("i", `c${span.category}`, span.begin, span.end));
    for (const [begin, end] of waits.get(span.at) || []) bars.append(bar("u", "", begin, end));
    node.append(name, bars);
    node.onmousemove = (event) => tell(span, event);
    node.onmouseleave = hush;
    node.ondblclick = () => look(span.begin, span.end);
    return node;
  }

  function ticks() {
    const rough = (to - from) / 8, power = 10 ** Math.floor(Math.log10(rough));
    const step = [1, 2, 5, 10].map((f) => f * power).find((s) => s >= rough);
    const nodes = [];
    for (let at = Math.ceil(from / step) * step; at < to; at += step) {
      const label = made("span", "", step >= 1000 ? `${at / 1000} s` : `${+at.toFixed(3)} ms`);
      label.style.left = `${share(at)}%`;
      nodes.push(label);
    }
    axis.replaceChildren(...nodes);
  }

  function look(begin, end) {
    if (end - begin <= 0) return;
    [from, to] = [begin, end];
    by("whole").hidden = from === 0 && to >= data.end;
    ticks();
    draw();
  }

  axis.onmousedown = (down) => {
    const frame = axis.getBoundingClientRect(), mark = made("b");
    const time = (event) => from + (to - from) * Math.min(1, Math.max(0, (event.clientX - frame.left) / frame.width));
    const start = time(down);
    axis.append(mark);
    const move = (event) => {
      const [a, b] = [start, time(event)].sort((x, y) => x - y);
      mark.style.left = `${share(a)}%`;
      mark.style.width = `${share(b) - share(a)}%`;
    };
    window.addEventListener("mousemove", move);
    window.addEventListener("mouseup", (up) => {
      window.removeEventListener("mousemove", move);
      const [a, b] = [start, time(up)].sort((x, y) => x - y);
      if (share(b) - share(a) > 0.5) look(a, b); else mark.remove();
    }, { once: true });
  };

  // What is under the pointer
  const tip = by("tip");
  function tell(span, event) {
    const facts = [["service", span.service], ["host", `${span.host} (${data.places[span.host]})`],
      ["from", `${ms(span.begin)} ms`], ["took", `${ms(span.end - span.begin)} ms`], ["own", `${ms(span.own)} ms`],
      ["went on until", span.reach && `${ms(span.reach)} ms`],
      ["on the critical path", `${ms(span.waited)} ms`], ["error", span.error], ["", span.broken && "beginning or end is missing"]];
    const list = made("dl");
    for (const [name, value] of facts) if (value) list.append(made("dt", "", name), made("dd", "", value));
    tip.replaceChildren(made("b", "", span.what || span.operation), list);
    tip.hidden = false;
    const { width, height } = tip.getBoundingClientRect();
    tip.style.left = `${Math.min(event.clientX + 14, innerWidth - width - 8)}px`;
    tip.style.top = `${Math.min(event.clientY + 16, innerHeight - height - 8)}px`;
  }
  function hush() { tip.hidden = true; }

  // Sequence: a life line for each service on each host, an arrow for each call between two.
  const SVG = "http://www.w3.org/2000/svg", WIDE = 168, LEFT = 84, TOP = 44, HIGH = 19;
  const svg = (tag, attributes, text) => {
    const node = document.createElementNS(SVG, tag);
    for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
    if (text !== undefined) node.textContent = text;
    return node;
  };
  const who = (at) => at < 0 ? "client" : `${spans[at].service}\n${spans[at].host}`;

  function calls() {
    const far = by("only-hosts").checked, found = [];
    for (const span of spans) {
      if (span.category === 2 || who(span.parent) === who(span.at)) continue;
      const crosses = span.parent >= 0 && spans[span.parent].host !== span.host;
      if (far && !crosses) continue;
      const waited = span.parent < 0 || span.category === 0 || span.end <= spans[span.parent].end + 1;
      found.push({ time: span.begin, a: who(span.parent), b: who(span.at), span, crosses });
      if (waited) found.push({ time: span.end, a: who(span.at), b: who(span.parent), span, crosses, back: true });
    }
    return found.sort((x, y) => x.time - y.time);
  }

  function sequence() {
    const events = calls(), lives = new Map();
    for (const event of events) for (const one of [event.a, event.b]) {
      if (!lives.has(one)) lives.set(one, LEFT + WIDE * (lives.size + 0.5));
    }
    const width = LEFT + WIDE * lives.size + 40, height = TOP + HIGH * (events.length + 1);
    const root = svg("svg", { width, height, role: "img", "aria-label": "sequence of calls" });
    for (const x of lives.values()) root.append(svg("line", { class: "life", x1: x, x2: x, y1: TOP, y2: height }));
    events.forEach((event, n) => root.append(arrow(event, TOP + HIGH * (n + 0.8), lives)));
    const head = svg("g", { class: "head" });
    for (const [name, x] of lives) {
      const [service, host] = name.split("\n");
      head.append(svg("rect", { x: x - WIDE / 2 + 4, y: 3, width: WIDE - 8, height: TOP - 8, rx: 4 }),
        svg("text", { x, y: 18 }, service), svg("text", { x, y: 32, class: "host" }, host || ""));
    }
    root.append(head);
    const place = by("sequence");
    place.replaceChildren(root);
    place.onscroll = () => head.setAttribute("transform", `translate(0 ${place.scrollTop})`);
    by("count").textContent = `${events.filter((event) => !event.back).length} calls`;
  }

  function arrow(event, y, lives) {
    const [x1, x2] = [lives.get(event.a), lives.get(event.b)], way = Math.sign(x2 - x1);
    const colour = event.span.error ? "var(--bad)" : `var(${COLOURS[event.span.category]})`;
    const kind = `call${event.back ? " back" : ""}${event.crosses ? " far" : ""}`;
    const group = svg("g", { class: "event", style: `stroke:${colour}` });
    group.append(svg("line", { class: kind, x1, x2: x2 - way * 5, y1: y, y2: y }),
      svg("path", { d: `M${x2},${y} l${-way * 7},-3.5 v7 z`, style: `fill:${colour};stroke:none` }));
    const text = { y: y - 3, style: "stroke:none" };
    if (!event.back) {
      const room = Math.max(20, Math.floor(Math.abs(x2 - x1) / 6.2)), whole = event.span.operation;
      const label = whole.length > room && event.span.category ? whole.split(".").pop() : whole;
      const shown = label.length > room ? `${label.slice(0, room - 1)}…` : label;
      group.append(svg("text", { ...text, x: Math.min(x1, x2) + 8 }, shown));
    }
    group.append(svg("text", { ...text, y: y + 4, x: LEFT - 14, class: "at" }, `${event.time.toFixed(1)} ms`));
    group.onmousemove = (mouse) => tell(event.span, mouse);
    group.onmouseleave = hush;
    return group;
  }

  function view(name) {
    for (const one of ["tree", "sequence"]) {
      by(one).hidden = one !== name;
      by(`show-${one}`).setAttribute("aria-pressed", one === name);
      for (const part of document.getElementsByClassName(`for-${one}`)) part.hidden = one !== name;
    }
    if (name === "sequence") sequence(); else choose();
  }

  by("show-tree").onclick = () => view("tree");
  by("show-sequence").onclick = () => view("sequence");
  by("only-hosts").onchange = sequence;
  by("search").oninput = choose;
  by("only-path").onchange = choose;
  by("unfold").onclick = () => { spans.forEach((span) => { span.open = true; }); choose(); };
  by("fold").onclick = () => { spans.forEach((span) => { span.open = false; }); choose(); };
  by("whole").onclick = () => look(0, Math.max(data.end, 0.001));
  box.onscroll = draw;
  window.onresize = draw;
  ticks();
  view(location.hash === "#sequence" ? "sequence" : "tree");
  document.documentElement.dataset.ready = spans.length;
})();
