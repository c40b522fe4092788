# SPDX-License-Identifier: BSD-3-Clause
"""The reference: a page for each public header, the list of headers, and that of all names."""

import html
import posixpath
import re
import subprocess

from names import render
from pages import highlight, plain_text, with_sections

# What hoist.hpp does not include, because it needs another library.
ALONE = ("eigen.hpp", "mdspan.hpp", "redis.hpp", "slurm.hpp")


def text_of(doc):
    """A comment without its code."""
    return plain_text(render(doc, lambda code: "", html.escape))


class HeaderPage:
    """The page of one header."""

    def __init__(self, site, header):
        self.site = site
        self.page = f"reference/{header.removesuffix('.hpp')}.html"
        self.title = f"hoist/{header}"
        self.anchored = set()
        body = f"<h1><code>{self.title}</code></h1>\n"
        for items in site.names.pages[header]:
            body += self.section(items)
        site.write(self.page, f"{self.title} – hoist", with_sections(body))

    def section(self, items):
        """A class with its members, or other names that share a comment."""
        first, others = self.anchors(items)
        names = dict.fromkeys(html.escape(item.name) for item in items)
        heading = ", ".join(f"<code>{name}</code>" for name in names)
        body = f"<h2{first}>{heading}</h2>{others}\n{self.described(items)}"
        for members in items[0].members:
            first, others = self.anchors(members)
            body += f'<div class="member"{first}>{others}\n{self.described(members)}</div>\n'
        return body

    def anchors(self, items):
        """An attribute for the first name and elements for the others. The search learns of them."""
        new = dict.fromkeys(item.anchor for item in items if item.anchor not in self.anchored)
        self.anchored.update(new)
        names = ", ".join(dict.fromkeys(item.name for item in items))
        text = " ".join(text_of(item.doc) for item in items)
        self.site.remember(self.page, self.title, names, next(iter(new), ""), text)
        first, *others = [f' id="{anchor}"' for anchor in new] or [""]
        return first, "".join(f"<a{other}></a>" for other in others)

    def described(self, items):
        """Declarations and the comment that they share."""
        code = "\n".join(dict.fromkeys(item.declaration for item in items))
        values = "".join(
            f"<li><code>{html.escape(name)}</code> "
            + self.prose(doc).removeprefix("<p>").removesuffix("</p>")
            + "</li>\n"
            for name, doc in items[0].values
        )
        if values:
            values = f"<ul>\n{values}</ul>\n"
        prose = "".join(self.prose(item.doc) for item in items)
        return f'{highlight(code, "cpp")}<div class="contract">\n{prose}{values}</div>\n'

    def prose(self, doc):
        return render(
            doc,
            lambda code: highlight(code, "cpp"),
            lambda code: self.site.code(code, self.page),
        )


def write_headers(site):
    """The list of headers, as hoist.hpp has it in its comment, and what that leaves out."""
    source = (site.root / "include/hoist/hoist.hpp").read_text().split("\n#include")[0]
    comment = "\n".join(re.findall(r"^// ?(.*)", source, re.MULTILINE)[1:])
    text = subprocess.run(
        ["cmark-gfm"], input=comment, capture_output=True, text=True, check=True
    ).stdout
    listed = {*re.findall(r"\b\w+\.hpp", text), *ALONE, "hoist.hpp"}
    others = ", ".join(name for name in site.names.pages if name not in listed)
    text += (
        f"<p>For what needs another library, by themselves: {', '.join(ALONE)}.</p>\n"
        f"<p>Parts of all these, which are included with them: {others}.</p>\n"
    )
    text = re.sub(
        r"\b(\w+)\.hpp",
        lambda m: f'<a href="{m[1]}.html">{m[0]}</a>' if m[0] in site.names.pages else m[0],
        text,
    )
    text = (
        "<h1>Headers</h1>\n<p>Every public name with its contract, by the header that has it. "
        f'<a href="names.html">All names</a> are on one page.</p>\n{text}'
    )
    site.remember("reference/index.html", "Headers", "", "", plain_text(text))
    site.write("reference/index.html", "Headers – hoist", text)


def write_names(site):
    """All names but members, with the first sentences of their comments."""
    rows = {}
    for header, groups in site.names.pages.items():
        for item in (item for items in groups for item in items):
            about = re.split(r"(?<=[.:]) (?=[A-Z])", text_of(item.doc))[0]
            url = posixpath.relpath(site.names.urls[item.name], "reference")
            rows.setdefault(
                (item.name.lower(), item.name),
                f'<tr><th scope="row"><a href="{url}"><code>{html.escape(item.name)}</code></a></th>'
                f"<td>{header}</td><td>{html.escape(about)}</td></tr>\n",
            )
    table = (
        '<div class="table" tabindex="0"><table>\n'
        "<tr><th>Name</th><th>Header</th><th>What it is</th></tr>\n"
        f"{''.join(rows[key] for key in sorted(rows))}</table></div>\n"
    )
    site.write("reference/names.html", "All names – hoist", f"<h1>All names</h1>\n{table}")


def write(site):
    for header in site.names.pages:
        HeaderPage(site, header)
    write_headers(site)
    write_names(site)
