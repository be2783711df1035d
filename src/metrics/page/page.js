"use strict";
// Asks for status.json once a second and makes of it what the server has made of it before. Text is put in as text only.
(() => {
  const INTERVAL = 1000, PATIENCE = 3000, KEPT = 60, EVENTS = 12;
  const BARS = "▁▂▃▄▅▆▇█";
  const pulse = document.getElementById("pulse");
  const alarm = document.getElementById("alarm");
  const main = document.getElementById("routes");
  const delays = new Map();
  let heardAt = null;

  const make = (name, attributes, ...children) => {
    const element = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    element.append(...children);
    return element;
  };
  const list = (value) => (Array.isArray(value) ? value : []);
  const text = (value) => (value === null || value === undefined || value === "" ? "-" : String(value));
  const finite = (value) => typeof value === "number" && Number.isFinite(value);
  const percent = (value) => (finite(value) ? value.toFixed(2) : "0.00") + " %";
  const number = (value) => (finite(value) ? String(Math.round(value * 1000) / 1000) : "-");
  const time = (value) => { const found = /T(\d\d:\d\d:\d\d)/.exec(text(value)); return found ? found[1] : text(value); };
  const delay = (seconds) => {
    if (!finite(seconds)) return "-";
    if (seconds < 0.0095) return (seconds * 1e3).toFixed(1) + " ms";
    return seconds < 0.9995 ? (seconds * 1e3).toFixed(0) + " ms" : seconds.toFixed(1) + " s";
  };
  const bytes = (count) => {
    if (!finite(count)) return "-";
    let value = count, unit = 0;
    while (value >= 999.5 && unit < 4) { value /= 1e3; unit += 1; }
    return value.toFixed(unit > 0 && value < 9.95 ? 1 : 0) + " " + ["B", "KB", "MB", "GB", "TB"][unit];
  };
  const minute = (value) => { const found = /^(\d{4}-\d\d-\d\d)T(\d\d:\d\d)/.exec(text(value)); return found ? `${found[1]} ${found[2]} UTC` : text(value); };
  const duration = (seconds) => {
    const whole = Math.ceil(finite(seconds) ? seconds : 0);
    const parts = [[Math.floor(whole / 3600), "h"], [Math.floor(whole / 60) % 60, "m"], [whole % 60, "s"]];
    return parts.filter(([count]) => count > 0).map(([count, unit]) => count + unit).join(" ") || "0s";
  };
  const LOOKS = { ok: "good", up: "good", bad: "bad", down: "bad", tripped: "bad", unknown: "doubtful" };
  const tag = (word) => make("span", { class: "tag " + (Object.hasOwn(LOOKS, word) ? LOOKS[word] : "plain") }, text(word));
  const table = (name, caption, headings, rows) => make("table", { class: name },
    make("caption", {}, caption),
    make("thead", {}, make("tr", {}, ...headings.map((heading) => make("th", { scope: "col" }, heading)))),
    make("tbody", {}, ...rows.map((cells) => make("tr", {}, ...cells.map((cell) => make("td", {}, cell))))));

  // The delays of the last minute: full at the rule's limit.
  const trend = (key, limit) => {
    const values = delays.get(key) || [];
    const top = finite(limit) && limit > 0 ? limit : Math.max(0, ...values.filter(finite));
    const column = (value) => (finite(value) ? BARS[Math.round(7 * Math.min(1, top > 0 ? value / top : 0))] : " ");
    return make("span", { class: "trend" }, values.map(column).join(""));
  };
  const remember = (topology) => {
    const before = new Map(delays);
    delays.clear();
    for (const side of list(topology)) for (const node of list(side.nodes)) {
      const key = JSON.stringify([side.route, side.side, node.node]);
      delays.set(key, [...(before.get(key) || []), node.replication_delay_seconds].slice(-KEPT));
    }
  };

  const underWay = (route) => {
    const end = route.estimated_end ? "; ends about " + minute(route.estimated_end) : "";
    if (route.ramp) {
      const next = finite(route.ramp.next) ? `: ${percent(route.ramp.next)} next, in ${duration(route.ramp.hold_left_seconds)} at the earliest` : "";
      return ["ramp", `step ${text(route.ramp.step)} of ${list(route.ramp.steps).length} taken${next}${end}`];
    }
    return route.state === "shifting" ? ["shift", `to ${percent(route.target)}${end}`] : null;
  };
  const facts = (route) => {
    const all = [[route.latched ? "LATCHED" : "reason", route.reason], ["advice", route.advice], ["paused", route.paused], underWay(route),
      ["epoch", `${text(route.epoch)}, ${text(route.clients)} clients, ${text(route.held)} commands held`]];
    const told = all.filter((fact) => fact && fact[1]);
    return make("dl", {}, ...told.flatMap(([label, what]) => [make("dt", {}, label), make("dd", {}, text(what))]));
  };
  const VERDICTS = { bad: 0, ok: 2 }, ACTIONS = { trip: 0, freeze: 1 };
  const rank = (rule) => (VERDICTS[rule.verdict] ?? 1) * 3 + (ACTIONS[rule.action] ?? 2);
  const ruleTable = (caption, rules) => (rules.length === 0 ? [] : [table("rules", caption,
    ["verdict", "side", "rule", "action", "node", "measured", "limit", "unit", "since", "note"],
    rules.map((rule) => [tag(rule.verdict), text(rule.side), text(rule.rule), text(rule.action), text(rule.node),
      number(rule.measured), number(rule.limit), text(rule.unit), time(rule.since), text(rule.note)]))]);
  const section = (route, told) => {
    const its = (entry) => entry && entry.route === route.route;
    const rules = list(told.health).filter(its).sort((one, other) => rank(one) - rank(other));
    const limit = (side) => rules.find((rule) => rule.side === side && rule.rule === "heartbeat_delay")?.limit;
    const sides = list(told.topology).filter((side) => its(side) && route[side.side]);
    const nodes = sides.flatMap((side) => list(side.nodes).map((node) => [
      text(side.side), tag(route[side.side].verdict), text(node.role), text(node.node),
      tag(node.up === true ? "up" : node.up === false ? "down" : "-"),
      delay(node.replication_delay_seconds), bytes(node.replication_lag_bytes),
      trend(JSON.stringify([side.route, side.side, node.node]), limit(side.side))]));
    const count = (verdict) => rules.filter((rule) => rule.verdict === verdict).length;
    const weight = finite(route.weight) ? route.weight.toFixed(2) : "0.00";
    const moves = finite(route.target) && Math.abs(route.weight - route.target) >= 0.005;
    return make("section", { "data-route": text(route.route), "data-state": text(route.state), "data-latched": String(route.latched === true), "data-weight": weight },
      make("h2", {}, text(route.route) + " ", tag(route.state)),
      make("p", { class: "weight" }, make("meter", { min: 0, max: 100, value: weight, "aria-label": "weight" }), " ",
        make("strong", {}, percent(route.weight)), " on new" + (moves ? `, on the way to ${percent(route.target)}` : "")),
      facts(route),
      table("nodes", "Nodes", ["side", "verdict", "role", "node", "up", "replication delay", "behind", "last minute"], nodes),
      make("p", {}, `Rules: ${count("bad")} bad, ${count("unknown")} unknown, ${count("ok")} ok`),
      ...ruleTable("Rules that are not ok", rules.filter((rule) => rule.verdict !== "ok")),
      table("events", "Last events", ["time (UTC)", "side", "kind", "reason"],
        list(told.events).filter(its).slice(0, EVENTS).map((event) => [time(event.time), text(event.side), text(event.kind), text(event.reason)])),
      ...ruleTable("Rules that are ok", rules.filter((rule) => rule.verdict === "ok")));
  };

  const say = (element, words) => { if (element.textContent !== words) element.textContent = words; };
  const heard = (told) => {
    remember(told.topology);
    const routes = list(told.status).map((route) => section(route, told));
    // Somebody is about to copy a command.
    const copies = getSelection();
    if (!(copies && !copies.isCollapsed && main.contains(copies.anchorNode))) main.replaceChildren(...routes);
    heardAt = time(told.time);
    document.documentElement.dataset.live = "yes";
    main.classList.remove("stale");
    say(pulse, `as of ${heardAt} UTC, asked once a second`);
    say(alarm, "");
  };
  const missed = (why) => {
    document.documentElement.dataset.live = "no";
    main.classList.add("stale");
    say(alarm, `NO ANSWER${heardAt ? ` since ${heardAt} UTC` : ""}: ${why}. What stands below may not be so any more.`);
  };
  const look = async () => {
    const stop = new AbortController();
    const timer = setTimeout(() => stop.abort(), PATIENCE);
    try {
      const answer = await fetch("status.json", { cache: "no-store", signal: stop.signal });
      const told = await answer.json();
      if (!answer.ok) throw new Error(text(told.error));
      heard(told);
    } catch (error) {
      missed(stop.signal.aborted ? `none within ${PATIENCE / 1000} s` : error.message);
    }
    clearTimeout(timer);
    setTimeout(next, INTERVAL);
  };
  // Nobody sees a page in the background.
  const next = () => (document.hidden ? setTimeout(next, INTERVAL) : look());
  look();
})();
