// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <string_view>

namespace hoist::tool {

/// The page before and after the trace, which stands in it as it is. It loads nothing.
inline constexpr std::string_view trace_page_head = R"page(<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>hoist trace</title>
<style>
  :root { color-scheme: light dark; --ink: #1b2733; --paper: #fbfbf9; --faint: #5d6b78;
          --task: #3f7fbf; --other: #6aa5d8; --bad: #c8402f; --line: #d9dee3; }
  @media (prefers-color-scheme: dark) {
    :root { --ink: #e4e9ee; --paper: #14191e; --faint: #a3b0bc; --line: #2c353d; }
  }
  body { margin: 2rem auto; max-width: 72rem; padding: 0 1rem; background: var(--paper);
         color: var(--ink); font: 15px/1.5 system-ui, sans-serif; }
  h1 { font-size: 1.3rem; } h2 { font-size: 1.05rem; margin-top: 2rem; }
  svg { width: 100%; min-width: 44rem; display: block; }
  #timeline, #use, #slowest, #failed { overflow-x: auto; }
  text { fill: var(--ink); font-size: 11px; }
  table { border-collapse: collapse; } td, th { padding: .15rem .9rem .15rem 0; text-align: right;
                                       white-space: nowrap; }
  th { font-weight: 600; border-bottom: 1px solid var(--line); }
  td.text { text-align: left; white-space: pre-wrap; min-width: 20rem; overflow-wrap: anywhere; }
  button { font: inherit; }
  .faint { color: var(--faint); fill: var(--faint); }
</style>
<main>
<h1>hoist trace</h1>
<p id="summary"></p>
<noscript><p>A script draws this page from the trace in it.</p></noscript>
<h2>Timeline</h2>
<p><button id="in">Zoom in</button> <button id="out">Zoom out</button>
<button id="left" aria-label="Earlier">&larr;</button>
<button id="right" aria-label="Later">&rarr;</button> <span class="faint" id="view"></span></p>
<div id="timeline" tabindex="0"></div>
<h2>Utilisation</h2><div id="use"></div>
<h2>Batch sizes</h2><div id="batches"></div>
<h2>Slowest tasks</h2><div id="slowest"></div>
<h2>Failed tasks</h2><div id="failed"></div>
</main>
<script type="application/json" id="trace">
)page";

inline constexpr std::string_view trace_page_tail = R"page(
</script>
<script>
"use strict";
const trace = JSON.parse(document.getElementById("trace").textContent);
const events = trace.traceEvents.filter(e => e.ph === "X");
const tasks = events.filter(e => e.cat === "task"), batches = events.filter(e => e.cat === "batch");
const time = us => us < 1e3 ? us.toFixed(1) + " µs" : us < 1e6 ? (us / 1e3).toFixed(2) + " ms"
                                                               : (us / 1e6).toFixed(3) + " s";
const put = (id, html) => { document.getElementById(id).innerHTML = html; };
const row = e => e.pid + "/" + e.tid;
const safe = text => String(text).replace(/[&<>"]/g, c => `&#${c.charCodeAt(0)};`);
const names = new Map(trace.traceEvents.filter(e => e.name === "thread_name").map(
    e => [row(e), e.args.name]));
const nameOf = row => safe(`${names.get(row) || "worker"} (${row.split("/")[0]})`);
const rows = [...new Set(tasks.map(row))].sort(
    (a, b) => a.localeCompare(b, undefined, {numeric: true}));
let first = Infinity, end = 0, busy = 0, failed = 0;
for (const e of tasks) {
  first = Math.min(first, e.ts); end = Math.max(end, e.ts + e.dur); busy += e.dur;
  if (e.args.failed) ++failed;
}
if (!tasks.length) first = 0;
const span = Math.max(end - first, 1e-3);
const meta = trace.otherData || {};
put("summary", `${tasks.length} runs of tasks (${failed} failed) on ${rows.length} workers, ` +
    `backend <b>${safe(meta.backend)}</b>, n_jobs ${safe(meta.n_jobs)}: ${time(span)}, ` +
    `workers busy for ` +
    `<b>${(100 * busy / (span * Math.max(rows.length, 1))).toFixed(1)} %</b> of it`);

const width = 1000, high = 22;
const label = Math.min(400, Math.max(110, ...rows.map(one => 7 * nameOf(one).length)));
// The part of the time that the timeline shows.
let from = 0, shown = span;
const x = us => label + (us - first - from) / shown * (width - label);
const axis = (y, start = 0, length = span) => [0, .25, .5, .75, 1].map(part =>
  `<text class="faint" text-anchor="${part === 1 ? "end" : part ? "middle" : "start"}" x="${
    label + part * (width - label)}" y="${y}">${time(start + part * length)}</text>`).join("");

const hover = e => safe(`${e.name}: ${time(e.dur)}, from ${time(e.ts - first)}` +
    (e.args.failed ? `\nfailed: ${e.args.error || "no text"}` : ""));
// Tasks closer than half a pixel are drawn as one.
function marks(list, y) {
  let out = "", at = -1, to = -1, bad = false, count = 0, title = "";
  const flush = () => {
    if (count) out += `<rect x="${at.toFixed(2)}" y="${y}" ` +
      `width="${Math.max(to - at, .5).toFixed(2)}" ` +
      `height="${high - 6}" fill="var(${bad ? "--bad" : "--task"})"><title>${title}</title></rect>`;
    count = 0; bad = false;
  };
  for (const e of list) {
    const a = Math.max(label, x(e.ts)), b = Math.min(width, x(e.ts + e.dur));
    if (b < label || a > width) continue;
    if (count && a - to > .5 || count && b - a > 2) flush();
    if (!count) { at = a; title = hover(e); } else title = `${count + 1} tasks`;
    to = Math.max(b, count ? to : b); bad = bad || e.args.failed; ++count;
    if (b - a > 2) flush();
  }
  flush();
  return out;
}
const byRow = rows.map(name =>
    tasks.filter(e => row(e) === name).sort((a, b) => a.ts - b.ts));
function draw() {
  let timeline = `<svg viewBox="0 0 ${width} ${rows.length * high + 20}" role="img"
    aria-label="Tasks of ${rows.length} workers over ${time(shown)}">`;
  rows.forEach((name, i) => {
    timeline += `<text x="0" y="${i * high + 14}">${nameOf(name)}</text>` +
      marks(byRow[i], i * high + 2);
  });
  put("timeline", timeline + axis(rows.length * high + 14, from, shown) + "</svg>");
  put("view", shown < span ? `${time(from)} to ${time(from + shown)}` : "");
}
function look(start, length) {
  shown = Math.min(span, Math.max(length, span / 1e6));
  from = Math.min(Math.max(0, start), span - shown);
  draw();
}
const zoom = (factor, at = .5) => look(from + shown * at * (1 - factor), shown * factor);
const press = (id, action) => { document.getElementById(id).onclick = action; };
press("in", () => zoom(.5));
press("out", () => zoom(2));
press("left", () => look(from - shown / 2, shown));
press("right", () => look(from + shown / 2, shown));
document.getElementById("timeline").addEventListener("wheel", event => {
  if (!event.ctrlKey) return;
  event.preventDefault();
  const box = event.currentTarget.getBoundingClientRect();
  const at = ((event.clientX - box.left) / box.width * width - label) / (width - label);
  zoom(event.deltaY > 0 ? 1.25 : .8, Math.min(1, Math.max(0, at)));
}, {passive: false});
draw();

const bins = 100, load = new Array(bins).fill(0);
for (const e of tasks) {
  const from = (e.ts - first) / span * bins, to = (e.ts + e.dur - first) / span * bins;
  for (let b = Math.floor(from); b < Math.min(bins, Math.ceil(to)); ++b)
    load[b] += Math.max(0, Math.min(to, b + 1) - Math.max(from, b));
}
put("use", `<svg viewBox="0 0 ${width} 100" role="img" ` +
    `aria-label="Busy workers over time">` + load.map((v, b) => {
  const h = 78 * Math.min(1, v / Math.max(rows.length, 1)), w = (width - label) / bins;
  return `<rect x="${label + b * w}" y="${80 - h}" width="${w * .9}" height="${h}" ` +
         `fill="var(--other)">` +
         `<title>${v.toFixed(2)} workers</title></rect>`;
}).join("") + `<text x="0" y="12">${rows.length} workers</text>` + axis(95) + "</svg>");

const sizes = new Map();
for (const b of batches) {
  const size = 2 ** Math.floor(Math.log2(Math.max(1, b.args.tasks)));
  sizes.set(size, (sizes.get(size) || 0) + 1);
}
put("batches", !batches.length ? "<p class=faint>none recorded</p>" :
  "<table><tr><th>tasks<th>batches</tr>" + [...sizes].sort((a, b) => a[0] - b[0]).map(([size, n]) =>
    `<tr><td>${size === 1 ? 1 : size + " – " + (2 * size - 1)}<td>${n}</tr>`
  ).join("") + "</table>");

const slowest = [...tasks].sort((a, b) => b.dur - a.dur).slice(0, 20);
put("slowest", "<table><tr><th>task<th>took<th>began at<th>worker<th></tr>" + slowest.map(e =>
  `<tr><td>${safe(e.args.index)}<td>${time(e.dur)}<td>${time(e.ts - first)}<td>${
    nameOf(row(e))}<td>${e.args.failed ? "failed" : ""}</tr>`).join("") + "</table>");
const bad = tasks.filter(e => e.args.failed);
put("failed", !bad.length ? "<p class=faint>none</p>" :
  "<table><tr><th>task<th>took<th>worker<th>error</tr>" + bad.slice(0, 200).map(e =>
    `<tr><td>${safe(e.args.index)}<td>${time(e.dur)}<td>${nameOf(row(e))}<td class="text">${
      safe(e.args.error || "")}</tr>`).join("") + "</table>" +
  (bad.length > 200 ? `<p class=faint>${bad.length - 200} more</p>` : ""));
document.documentElement.dataset.ready = "yes";
</script>
</html>
)page";

}  // namespace hoist::tool
