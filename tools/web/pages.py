# SPDX-License-Identifier: BSD-3-Clause
"""Pages of the site: what all of them have, and those of documents and the sources they link to."""

import html
import json
import os
import pathlib
import posixpath
import re
import subprocess
import urllib.parse

import pygments
import pygments.formatters
import pygments.lexers
import pygments.util

TEMPLATE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>{title}</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="{root}style.css">
<script src="{root}script.js" data-root="{root}"></script>
</head>
<body>
<a class="skip" href="#main">Skip to the content</a>
<header>
<a class="home" href="{root}index.html">hoist</a>
<div role="search" hidden>
<label for="query">Search</label> <input id="query" type="search" autocomplete="off">
<div id="found"><p id="count" role="status"></p><ol id="results"></ol></div>
</div>
<button id="theme" type="button" hidden>Light/dark</button>
</header>
<details class="menu"><summary>Contents</summary>
<nav aria-label="Contents">
{contents}</nav>
</details>
<main id="main" tabindex="-1">
{body}</main>
<footer><p>hoist {version}</p></footer>
</body>
</html>
"""
# The parts of cmark-gfm's output that are changed, with the lines that they come from.
TOKENS = re.compile(
    r'<pre data-sourcepos="(?P<pre>\d+)[^>]*><code(?: class="language-(?P<language>\w+)")?>'
    r"(?P<code>.*?)</code></pre>\n?"
    r'|<h(?P<level>\d) data-sourcepos="(?P<head>\d+)[^>]*>(?P<heading>.*?)</h\d>'
    r'|<a href="(?P<href>[^"]*)">'
    r'|(?P<tag><\w+) data-sourcepos="(?P<other>\d+)[^"]*"',
    re.DOTALL,
)
# What search.js gets to read of a section.
MAX_TEXT = 4000


def highlight(code, language):
    """Code as HTML, coloured by the style sheet."""
    try:
        lexer = pygments.lexers.get_lexer_by_name(language or "text", stripnl=False)
    except pygments.util.ClassNotFound:
        lexer = pygments.lexers.get_lexer_by_name("text", stripnl=False)
    shown = pygments.highlight(code, lexer, pygments.formatters.HtmlFormatter(nowrap=True))
    # What parts declarations from statements; docs/guide.md explains it.
    shown = re.sub(
        r"(?m)^<span class=\"c1\">//---</span>\n", '<span class="cut">//---</span>', shown
    )
    return f'<pre tabindex="0"><code>{shown.rstrip()}</code></pre>\n'


def plain_text(markup):
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", markup)).split())


def slug(heading):
    """The anchor of a heading, as GitHub makes it."""
    return re.sub(r" ", "-", re.sub(r"[^\w\- ]", "", plain_text(heading).lower()))


def with_sections(body):
    """A page with links to its sections below the title, if there are more than two."""
    sections = re.findall(r'<h2 id="([^"]*)">(.*?)</h2>', body, flags=re.DOTALL)
    if len(sections) < 3:
        return body
    items = "".join(
        f'<li><a href="#{a}">{re.sub("</?a[^>]*>", "", t)}</a></li>\n' for a, t in sections
    )
    links = f'<nav class="here" aria-label="On this page">\n<ul>\n{items}</ul>\n</nav>\n'
    return body.replace("</h1>\n", "</h1>\n" + links, 1)


class Site:
    """All pages, while they are made."""

    def __init__(self, root, output, names):
        self.root, self.output, self.names = root, output, names
        self.documents = {}  # Markdown's path: its page's
        self.titles = {}  # page: title
        self.contents = []  # of all pages: a heading and pages
        self.index = []  # for the search: title, heading, url, text
        self.links = []  # source, line, page, anchor
        self.anchors = {}  # page: its anchors
        self.sources = set()  # that pages link to
        header = (root / "include/hoist/version.hpp").read_text()
        self.version = ".".join(re.findall(r"#define HOIST_VERSION_[A-Z]+ (\d+)", header))

    def write(self, page, title, body):
        """Writes a page, whose place is relative to the output."""
        up = "../" * page.count("/")
        contents = ""
        for heading, pages in self.contents:
            contents += f"<p>{heading}</p>\n<ul>\n"
            for one in pages:
                here = ' aria-current="page"' if one == page else ""
                contents += (
                    f'<li><a href="{up}{one}"{here}>{html.escape(self.titles[one])}</a></li>\n'
                )
            contents += "</ul>\n"
        text = TEMPLATE.format(
            title=html.escape(title), root=up, contents=contents, body=body, version=self.version
        )
        path = self.output / page
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        self.anchors[page] = set(re.findall(r'\bid="([^"]*)"', text))

    def link(self, target, page, source, line):
        """What a link of a document becomes on its page; it is checked at the end."""
        parts = urllib.parse.urlsplit(target)
        if parts.scheme:
            return target
        if not parts.path:
            found = page
        else:
            path = os.path.normpath(source.parent / parts.path)
            name = os.path.relpath(path, self.root)
            if os.path.isdir(path) and (pathlib.Path(path) / "README.md").exists():
                name += "/README.md"
            if name in self.documents:
                found = self.documents[name]
            elif name.startswith("include/hoist/") and "/detail/" not in name:
                found = f"reference/{pathlib.Path(name).stem}.html"
            elif os.path.isfile(path):
                found = f"source/{name}.html"
                self.sources.add(name)
            else:
                found = name.removeprefix("docs/")  # made by the build, or reported
        self.links.append((source, line, found, parts.fragment))
        relative = posixpath.relpath(found, posixpath.dirname(page) or ".")
        anchor = f"#{parts.fragment}" if parts.fragment else ""
        return anchor if found == page and anchor else relative + anchor

    def code(self, text, page):
        """A piece of code in a text, with a link if it is a public name."""
        shown = f"<code>{html.escape(text, quote=False)}</code>"
        header = re.fullmatch(r"<?hoist/(\w+)\.hpp>?", text)
        if header and f"{header[1]}.hpp" in self.names.pages:
            url = f"reference/{header[1]}.html#main"
        else:
            url = self.names.url_of(text)
        if url is None:
            return shown
        target, anchor = url.split("#")
        if target == page and anchor == "main":
            return shown
        here = "" if target == page else posixpath.relpath(target, posixpath.dirname(page) or ".")
        self.links.append((page, 0, target, anchor))
        return f'<a href="{here}#{anchor}">{shown}</a>'

    def remember(self, page, title, heading, anchor, text):
        """Lets the search find a section."""
        url = page + (f"#{anchor}" if anchor else "")
        self.index.append([title, heading, url, text[:MAX_TEXT]])

    def markdown(self, name, inserted):
        """Makes a page of a document, with inserted[x] for the comment <!-- site: x -->."""
        source = self.root / name
        page = self.documents[name]
        lines = source.read_text().splitlines()
        done = subprocess.run(
            ["cmark-gfm", "-e", "table", "--sourcepos", "--unsafe", source],
            capture_output=True,
            text=True,
            check=True,
        )
        text = re.sub(r"<!-- site: (\w+) -->", lambda m: inserted[m[1]], done.stdout)

        line = 0
        used = {}

        def convert(match):
            nonlocal line
            line = int(match["pre"] or match["head"] or match["other"] or line)
            if match["code"] is not None:
                return highlight(html.unescape(match["code"]), match["language"])
            if match["heading"] is not None:
                anchor = slug(match["heading"])
                same = used.setdefault(anchor, 0)
                used[anchor] += 1
                anchor += f"-{same}" if same else ""
                inner = TOKENS.sub(convert, match["heading"])
                return f'<h{match["level"]} id="{anchor}">{inner}</h{match["level"]}>'
            if match["href"] is not None:
                wanted = html.unescape(match["href"])
                at = next(
                    (n for n, text in enumerate(lines, 1) if n >= line and wanted in text), line
                )
                return f'<a href="{html.escape(self.link(wanted, page, source, at))}">'
            return match["tag"]

        text = TOKENS.sub(convert, text)
        # Names of hoist become links, but for those in Python's column and inside of links.
        text = re.sub(
            r"<(?P<outer>a|pre|h\d|svg)\b.*?</(?P=outer)>|<tr>\s*<td>.*?</td>"
            r"|<code>(?P<name>[^<]*)</code>",
            lambda m: m[0] if m["name"] is None else self.code(html.unescape(m["name"]), page),
            text,
            flags=re.DOTALL,
        )
        text = re.sub(
            r"(?s)<table>(.*?)</table>",
            r'<div class="table" tabindex="0"><table>\1</table></div>',
            text,
        )
        text = re.sub(r"<th></th>", "<td></td>", text)
        self._index(page, text)
        title = self.titles[page]
        self.write(
            page, "hoist" if page == "index.html" else f"{title} – hoist", with_sections(text)
        )

    def _index(self, page, text):
        title = self.titles[page]
        parts = re.split(r'<h[1-6] id="([^"]*)">(.*?)</h[1-6]>', text, flags=re.DOTALL)
        for anchor, heading, body in zip(parts[1::3], parts[2::3], parts[3::3]):
            shown = plain_text(heading)
            self.remember(page, title, "" if shown == title else shown, anchor, plain_text(body))

    def finish(self):
        """Writes what pages have linked to, and the index; returns what is wrong with links."""
        for name in sorted(self.sources):
            page = f"source/{name}.html"
            code = (self.root / name).read_text()
            language = {".cpp": "cpp", ".hpp": "cpp", ".sh": "sh", ".yaml": "yaml"}.get(
                pathlib.Path(name).suffix
            )
            self.write(
                page,
                f"{name} – hoist",
                f"<h1><code>{name}</code></h1>\n{highlight(code, language)}",
            )
        text = json.dumps(self.index, ensure_ascii=False, separators=(",", ":"))
        (self.output / "search.js").write_text(f"takeIndex({text});\n")
        problems = []
        for source, line, page, anchor in self.links:
            exists = page in self.anchors or (self.output / page).is_file()
            if not exists or anchor and anchor not in self.anchors.get(page, ()):
                what = page + (f"#{anchor}" if anchor else "")
                problems.append(f"{source}:{line}: the link leads nowhere: {what}")
        return problems
