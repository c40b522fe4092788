#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Builds the site, and looks at its pages and those of `hoist` as people do: with Chromium, on a
phone and on a desk, in light and dark, by keyboard, and without scripts.

  site.py BIN_DIR PICTURES    programs of the build; where screenshots of the pages go
"""

import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time

from browser import Browser

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
SHOWN = ("index.html", "reference/parallel.html", "guide/cookbook.html", "show.html", "trace.html")
WIDTHS = (400, 1280)

# What a person who never saw hoist asks: the link on the start page, and what stands behind it.
QUESTIONS = {
    "how to cache a function": ("guide/memory.html", "memory.cache(f)"),
    "why a call missed": ("guide/cookbook.html#why-did-a-call-miss", "explain_miss"),
    "how to run on 4 machines": (
        "guide/cookbook.html#run-a-loop-on-four-machines",
        "HOIST_WORKER",
    ),
    "what a .hoist file looks like": ("formats/container.html", "Header, 64 bytes"),
}
# What the search answers first.
SEARCHES = {
    "why did a call miss": "guide/cookbook.html#why-did-a-call-miss",
    "run on 4 machines": "guide/cookbook.html#run-a-loop-on-four-machines",
    "task_rng": "reference/random.html#task_rng",
    "MemoryOptions": "reference/memory.html#MemoryOptions",
}

# Rules of WCAG 2.2 AA that a script can check; returns what breaks them.
RULES = r"""
(() => {
  const wrong = [];
  const levels = [...document.querySelectorAll("h1,h2,h3,h4,h5,h6")].map(h => +h.tagName[1]);
  if (levels.filter(level => level === 1).length !== 1 || levels[0] !== 1) wrong.push("not one h1, first");
  levels.forEach((level, i) => { if (i && level > levels[i - 1] + 1) wrong.push("a level of headings is left out"); });
  if (document.querySelectorAll("main").length !== 1) wrong.push("no main");
  if (!document.documentElement.lang || !document.title) wrong.push("no language or title");
  for (const picture of document.querySelectorAll("img, svg[role=img]"))
    if (!picture.getAttribute("alt") && !picture.getAttribute("aria-label")) wrong.push("a picture without a name");
  for (const button of document.querySelectorAll("button, a[href]"))
    if (!button.textContent.trim() && !button.getAttribute("aria-label")) wrong.push("a control without a name");
  for (const input of document.querySelectorAll("input")) if (!input.labels.length) wrong.push("an unlabelled input");
  const ids = [...document.querySelectorAll("[id]")].map(e => e.id);
  if (new Set(ids).size !== ids.length) wrong.push("an id twice");

  const light = colour => {
    const [r, g, b] = colour.match(/[\d.]+/g).map(Number).map(c => c / 255).map(
        c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = element => {
    for (; element; element = element.parentElement) {
      const colour = getComputedStyle(element).backgroundColor;
      if (colour !== "rgba(0, 0, 0, 0)") return colour;
    }
    return "rgb(255, 255, 255)";
  };
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const seen = new Set();
  while (walk.nextNode()) {
    const element = walk.currentNode.parentElement;
    if (!walk.currentNode.data.trim() || seen.has(element) || !element.getClientRects().length) continue;
    if (element.closest("script, style, title, .cut")) continue;
    seen.add(element);
    const style = getComputedStyle(element);
    const colour = element instanceof SVGElement ? style.fill : style.color;
    const [a, b] = [light(colour), light(behind(element))].sort((x, y) => y - x);
    const large = parseFloat(style.fontSize) >= 24;
    if ((a + 0.05) / (b + 0.05) < (large ? 3 : 4.5))
      wrong.push(`too little contrast: ${colour} on ${behind(element)}: ${walk.currentNode.data.trim().slice(0, 40)}`);
  }
  return [...new Set(wrong)];
})()
"""

failures = []


def check(true, text):
    if not true:
        failures.append(text)
        print("FAILED:", text, flush=True)


def build(root, bin_dir, output):
    return subprocess.run(
        [root / "tools/site", output],
        env={**os.environ, "HOIST_BIN_DIR": str(bin_dir)},
        capture_output=True,
        text=True,
        timeout=240,
    )


def check_errors(bin_dir, scratch):
    """A link that leads nowhere and a name without a contract are named with file and line."""
    copy = scratch / "broken"
    for name in ("docs", "include", "tools"):
        shutil.copytree(ROOT / name, copy / name)
    for name in ("CHANGELOG.md", "CONTRIBUTING.md"):
        shutil.copy(ROOT / name, copy)
    page, header = copy / "docs/guide/eigen.md", copy / "include/hoist/stop.hpp"
    lines = len(page.read_text().splitlines())
    page.write_text(
        page.read_text() + "\nSee [this](memory.md#no-such-part) and\n[that](nowhere.md).\n"
    )
    text, declarations = header.read_text(), len(header.read_text().splitlines())
    header.write_text(text + "\nnamespace hoist {\n\nint undescribed();\n}\n")
    done = build(copy, bin_dir, scratch / "none")
    check(done.returncode != 0 and not (scratch / "none").exists(), "a site with errors was built")
    for expected in (
        f"{page}:{lines + 2}: the link leads nowhere: guide/memory.html#no-such-part",
        f"{page}:{lines + 3}: the link leads nowhere: guide/nowhere.md",
        f"{header}:{declarations + 4}: undescribed has no comment",
    ):
        check(expected in done.stderr, f"not reported: {expected}; but:\n{done.stderr}")


def check_page(browser, page, address, width, dark, picture=None):
    """One look at one page."""
    where = f"{page} at {width} pixels{', dark' if dark else ''}"
    browser.complaints.clear()
    browser.requests.clear()
    browser.open(address, width, dark=dark)
    check(not browser.complaints, f"{where}: {browser.complaints}")
    own = ("data:", str(address) if "://" in str(address) else "file:")
    others = [url for url in browser.requests if not url.startswith(own)]
    check(not others, f"{where}: requests {others}")
    wide = browser.ask("document.documentElement.scrollWidth")
    check(wide <= width, f"{where}: is {wide} wide")
    for problem in browser.ask(RULES):
        check(False, f"{where}: {problem}")
    if picture:
        browser.picture(picture)


def check_navigation(browser, site):
    start = site / "index.html"
    browser.open(start, 1280)
    links = browser.ask(
        "[...document.querySelectorAll('main a')].map(a => a.getAttribute('href'))"
    )
    for question, (link, answer) in QUESTIONS.items():
        check(link in links, f"{question}: not on the start page")
        text = re.sub(r"<[^>]*>", "", (site / link.split("#")[0]).read_text())
        check(answer in text, f"{question}: {link} doesn't say")
    check(
        browser.ask(
            "document.querySelector('.timeline figcaption').getBoundingClientRect().bottom"
        )
        <= 800,
        "the start page takes more than one screen",
    )


def check_keyboard(browser, site):
    browser.open(site / "index.html", 1280)
    browser.press("Tab", 9)
    skip = browser.ask(
        "(e => [e.className, e.getBoundingClientRect().left >= 0, getComputedStyle(e).outlineStyle])"
        "(document.activeElement)"
    )
    check(skip == ["skip", True, "solid"], f"Tab doesn't lead to a visible skip link: {skip}")
    browser.press("Enter", 13, "\r")
    check(browser.ask("document.activeElement.id") == "main", "the skip link doesn't skip")

    for query, expected in SEARCHES.items():
        browser.open(site / "index.html", 1280)
        browser.ask("document.getElementById('query').focus()")
        browser.type(query)
        browser.ask(
            "new Promise(done => { const look = () => document.querySelector('#results a')"
            " ? done() : setTimeout(look, 10); look(); })"
        )
        first = browser.ask("document.querySelector('#results a').getAttribute('href')")
        check(first == expected, f"the search for {query} answers {first}")
    browser.press("ArrowDown", 40)
    check(
        browser.ask("document.activeElement === document.querySelector('#results a')"),
        "arrows don't lead to what was found",
    )
    browser.press("Escape", 27)
    check(browser.ask("!document.querySelector('#results a')"), "Escape doesn't close the search")


def check_switch(browser, site):
    browser.open(site / "index.html", 1280, dark=True)
    colour = "getComputedStyle(document.body).backgroundColor"
    before = browser.ask(colour)
    browser.ask("document.getElementById('theme').click()")
    check(browser.ask(colour) != before, "the switch between light and dark does nothing")
    browser.ask("document.getElementById('theme').click()")


def check_without_scripts(browser, site):
    browser.open(site / "index.html", 1280, scripts=False)
    seen = browser.ask(
        "[...document.querySelectorAll('nav a, main pre, #theme, [role=search]')]"
        ".filter(e => e.checkVisibility()).map(e => e.tagName)"
    )
    check(
        "PRE" in seen and seen.count("A") > 30, "without scripts there is no text, or no contents"
    )
    check(
        "BUTTON" not in seen and "DIV" not in seen,
        "without scripts there are controls that need them",
    )
    browser.open(site / "index.html", 400, scripts=False)
    visible = "document.querySelector('.menu nav a').checkVisibility()"
    browser.ask("document.querySelector('.menu summary').focus()")
    at_first = browser.ask(visible)
    browser.press("Enter", 13, "\r")
    check(not at_first and browser.ask(visible), "without scripts a phone can't open the contents")


def check_top(browser, bin_dir, scratch, pictures):
    """The page of hoist top changes with the program it shows, and says when it is over."""
    directory = scratch / "runtime"
    directory.mkdir(mode=0o700)
    env = {**os.environ, "XDG_RUNTIME_DIR": str(directory)}
    shown = subprocess.Popen(
        [bin_dir / "test_tools", "-ns", "-tc=publishes until told"],
        env=env,
        stdout=subprocess.DEVNULL,
    )
    server = subprocess.Popen(
        [bin_dir / "hoist", "top", "--serve", "127.0.0.1:0", "--interval", "0.2"],
        env=env,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        address = server.stdout.readline().split(": ", 1)[1].strip()
        await_on_page(browser, address, "document.querySelector('progress')?.value === 4")
        for width in WIDTHS:
            for dark in (False, True):
                name = f"top-{width}{'-dark' if dark else ''}.png"
                check_page(browser, "hoist top", address, width, dark, pictures / name)
        browser.open(address, 400)
        browser.ask("document.querySelector('.wide').focus()")
        browser.ask("document.querySelector('main').id = 'before'")
        await_on_page(browser, None, "!document.getElementById('before')")
        check(
            browser.ask("document.activeElement.className") == "wide",
            "hoist top loses the focus with each look",
        )
        browser.open(address, 400, scripts=False)
        check(
            browser.ask("document.querySelector('progress')?.value === 4"),
            "hoist top needs scripts",
        )
        browser.open(address, 400)
        (directory / "go").touch()
        await_on_page(browser, None, "document.querySelector('main').textContent.includes('No program')")
        server.terminate()
        await_on_page(browser, None, "document.getElementById('trouble').textContent.includes('ended')")
    finally:
        for process in (shown, server):
            process.kill()
            process.wait()


def await_on_page(browser, address, condition):
    """Waits until something is so on the page, which is opened again and again if it is named."""
    until = time.monotonic() + 20
    while time.monotonic() < until:
        if address:
            browser.open(address, 400)
        if browser.ask(condition):
            return
        time.sleep(0.05)
    check(False, f"hoist top: {condition} never comes true")


def main():
    bin_dir, pictures = map(pathlib.Path, sys.argv[1:])
    pictures.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="hoist-site-test-") as made:
        scratch = pathlib.Path(made)
        site = scratch / "site"
        done = build(ROOT, bin_dir, site)
        if done.returncode != 0:
            sys.exit(done.stderr)
        check_errors(bin_dir, scratch)
        with Browser() as browser:
            for page in SHOWN:
                for width in WIDTHS:
                    for dark in (False, True):
                        name = f"{page.replace('/', '-')}-{width}{'-dark' if dark else ''}.png"
                        check_page(browser, page, site / page, width, dark, pictures / name)
            for page in sorted(site.rglob("*.html")):
                check_page(browser, page.relative_to(site), page, 400, False)
            check_navigation(browser, site)
            check_keyboard(browser, site)
            check_switch(browser, site)
            check_without_scripts(browser, site)
            check_top(browser, bin_dir, scratch, pictures)
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
