// SPDX-License-Identifier: BSD-3-Clause
// The search, and the switch between light and dark. Pages are complete without it.
"use strict";

const root = document.currentScript.dataset.root;
const kept = "hoist-theme";

// Storage may be refused, for files in particular; the switch then holds for the page.
function stored(value) {
  try {
    if (value) localStorage.setItem(kept, value);
    return localStorage.getItem(kept);
  } catch {
    return null;
  }
}

if (stored()) document.documentElement.dataset.theme = stored();

function switchTheme() {
  const style = document.documentElement.dataset;
  const dark = matchMedia("(prefers-color-scheme: dark)").matches;
  style.theme = (style.theme || (dark ? "dark" : "light")) === "dark" ? "light" : "dark";
  stored(style.theme);
}

// Sections as [title, heading, url, text], once search.js has been loaded.
let sections = null;
let show = () => {};

function takeIndex(index) {
  sections = index.map(([title, heading, url, text]) =>
      ({title, heading, url, text, low: [heading, title, text].map(part => part.toLowerCase())}));
  show();
}

const small = new Set("a an and are by can do does for from how i in is it my of on or the to what why with".split(" "));

// The beginning of a word that its other forms have in common.
const stem = word => word.length > 4 ? word.replace(/(ies|ing|ed|es|s|e|y)$/, "") : word;

// Sections that have all words, or as many as any has; the guide before the rest.
function find(query) {
  const all = query.toLowerCase().split(/[^\p{L}\p{N}_:]+/u).filter(Boolean);
  const long = all.filter(word => word.length > 1 && !small.has(word));
  const words = (long.length ? long : all).map(
      word => new RegExp("(^|[^\\p{L}\\p{N}])" + stem(word), "u"));
  const found = [];
  let most = 1;
  for (const section of sections) {
    let score = section.url.startsWith("guide") ? 20 : section.url.startsWith("changes") ? -20 : 0, count = 0;
    for (const word of words) {
      const [heading, title, text] = section.low.map(part => word.test(part));
      score += (heading ? 8 : 0) + (title ? 4 : 0) + (text ? 1 : 0);
      if (heading || title || text) ++count;
    }
    if (section.low[0].split(", ").includes(query.trim().toLowerCase())) score += 40;
    most = Math.max(most, count);
    found.push({score, count, section});
  }
  return found.filter(({count}) => count === most).sort((a, b) => b.score - a.score).map(
      ({section}) => section);
}

document.addEventListener("DOMContentLoaded", () => {
  const theme = document.getElementById("theme");
  theme.hidden = false;
  theme.onclick = switchTheme;

  const box = document.querySelector("[role=search]"), query = document.getElementById("query");
  const count = document.getElementById("count"), results = document.getElementById("results");
  box.hidden = false;
  const hide = () => {
    results.replaceChildren();
    count.textContent = "";
  };
  show = () => {
    hide();
    if (query.value.trim().length < 2 || !sections) return;
    const found = find(query.value);
    count.textContent = found.length === 1 ? "1 section" : `${found.length} sections`;
    for (const {title, heading, url, text} of found.slice(0, 20)) {
      const link = document.createElement("a"), more = document.createElement("small");
      link.href = root + url;
      link.textContent = heading ? `${heading} – ${title}` : title;
      more.textContent = text.slice(0, 110);
      link.append(more);
      results.appendChild(document.createElement("li")).append(link);
    }
  };
  const load = () => {
    if (document.getElementById("index")) return;
    const script = document.createElement("script");
    script.id = "index";
    script.src = root + "search.js";
    document.head.append(script);
  };
  query.onfocus = load;
  query.oninput = () => {
    load();
    show();
  };
  box.onkeydown = event => {
    const links = [query, ...results.querySelectorAll("a")];
    const at = links.indexOf(document.activeElement);
    if (event.key === "Escape") {
      query.value = "";
      show();
      query.focus();
    } else if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      links[Math.min(links.length - 1, Math.max(0, at + (event.key === "ArrowDown" ? 1 : -1)))].focus();
    } else if (event.key === "Enter" && at === 0 && links.length > 1) {
      links[1].click();
    }
  };
  document.addEventListener("click", event => {
    if (!box.contains(event.target)) hide();
  });
});
