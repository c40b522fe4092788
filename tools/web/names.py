# SPDX-License-Identifier: BSD-3-Clause
"""The public names as Doxygen finds them in the headers: their declarations and comments."""

import dataclasses
import html
import pathlib
import re
import subprocess
import textwrap
import xml.etree.ElementTree as ElementTree

SETTINGS = """
INPUT = {input}
EXTRACT_ALL = YES
EXTRACT_PRIVATE = YES
# Doxygen takes a member of this name for a keyword of another language, and leaves it out.
INPUT_FILTER = "sed 's/ local = / local= /'"
GENERATE_HTML = NO
GENERATE_LATEX = NO
GENERATE_XML = YES
# What is there only with the newest standard libraries.
PREDEFINED = __cpp_lib_mdspan
XML_PROGRAMLISTING = NO
HAVE_DOT = NO
INCLUDE_GRAPH = NO
QUIET = YES
OUTPUT_DIRECTORY = "{output}"
STRIP_FROM_PATH = "{headers}"
"""
CLASSES = ("class", "struct", "union")


@dataclasses.dataclass
class Item:
    """A public name: a class with its members, or something else in a header."""

    kind: str
    name: str  # without hoist::
    line: int
    doc: ElementTree.Element | None
    declaration: str = ""
    first: int = 0  # lines of the declaration
    last: int = 0
    members: list = dataclasses.field(default_factory=list)
    values: list = dataclasses.field(default_factory=list)  # of an enumeration: name, doc

    @property
    def anchor(self):
        return re.sub(r"[^\w:~]", "_", self.name)


def run_doxygen(headers, chosen, output):
    """Returns Doxygen's XML about some headers. Its complaints about one are errors."""
    output.mkdir()
    settings = SETTINGS.format(
        input=" ".join(f'"{path}"' for path in chosen), headers=headers, output=output
    )
    done = subprocess.run(["doxygen", "-"], input=settings, text=True, capture_output=True)
    # Doxygen 1.9.4 reports a specialisation in namespace std as a fault of its own.
    complaints = [
        line
        for line in done.stderr.splitlines()
        if line.startswith(str(headers)) and "Internal inconsistency" not in line
    ]
    if done.returncode != 0 or complaints:
        raise SystemExit("\n".join(complaints) or done.stderr)
    return sorted((output / "xml").glob("*.xml"))


def documentation(element):
    """The comment of a name, or None."""
    parts = [element.find(k) for k in ("briefdescription", "detaileddescription")]
    parts = [p for p in parts if p is not None and "".join(p.itertext()).strip()]
    if not parts:
        return None
    both = ElementTree.Element("doc")
    for part in parts:
        both.extend(part)
    return both


def is_plain(name):
    return "detail" not in re.split(r"\W+", name)


def read(files):
    """Returns the items of each header in the order of their lines, and the lines with names."""
    headers = {}
    seen = {}

    def add(element, name, into=None):
        place = element.find("location")
        item = Item(element.get("kind"), name, int(place.get("line")), documentation(element))
        header = pathlib.Path(place.get("file")).name
        (headers.setdefault(header, []) if into is None else into).append(item)
        item.values = [(v.findtext("name"), documentation(v)) for v in element.iter("enumvalue")]
        return item

    for path in files:
        for compound in ElementTree.parse(path).getroot().iter("compounddef"):
            for named in [compound, *compound.iter("memberdef")]:
                place = named.find("location")
                if place is not None and place.get("line"):
                    first = int(place.get("line"))
                    last = int(place.get("bodyend")) if named.get("kind") == "enum" else first
                    lines = seen.setdefault(pathlib.Path(place.get("file")).name, set())
                    lines.update(range(first, last + 1))
            kind = compound.get("kind")
            scope = compound.findtext("compoundname")
            if kind not in CLASSES + ("namespace", "file") or not is_plain(scope):
                continue
            if kind in CLASSES and compound.get("prot", "public") != "public":
                continue
            name = re.sub(r"<\s+|\s+>", lambda m: m[0].strip(), scope.removeprefix("hoist::"))
            owner = add(compound, name).members if kind in CLASSES else None
            prefix = "" if owner is None else re.sub(r"<.*", "", name) + "::"
            for member in compound.iter("memberdef"):
                about = member.get("kind")
                if member.get("prot") != "public" or (kind == "file") != (about == "define"):
                    continue
                if about == "friend" and "operator" not in member.findtext("name"):
                    continue
                add(member, prefix + member.findtext("name"), owner)
    for items in headers.values():
        items.sort(key=lambda item: item.line)
        for item in items:
            item.members.sort(key=lambda member: member.line)
    return headers, seen


def end_of_declaration(text, kind):
    """Where it ends: before its body, the initialisers of members, or the semicolon."""
    depth = 0
    for at, c in enumerate(text):
        alone = text[at - 1] != ":" and text[at + 1 : at + 2] != ":"
        if c in "([":
            depth += 1
        elif c in ")]":
            depth -= 1
        elif c in "{}" and (depth or kind in ("variable", "typedef")):
            depth += 1 if c == "{" else -1
        elif c == "{" and re.search(r"\brequires\s*(\([^()]*\)\s*)?$", text[:at]):
            depth += 1
        elif depth == 0 and (c in ";{" or c == ":" and alone and kind == "function"):
            return at
    return len(text)


def declare(item, lines):
    """Finds the declaration in the text of the header."""

    def ends_another(line):
        code = re.sub(r"\s*//.*", "", line).strip()
        return not code or code[-1] in ";{}:" or code[0] == "#"

    first = item.line - 1
    if item.kind != "define":
        while not ends_another(lines[first - 1]):
            first -= 1
    text = "\n".join(lines[first : first + 30]) + "\n"
    end = text.index("\n") if item.kind == "define" else end_of_declaration(text, item.kind)
    item.first, item.last = first + 1, first + 1 + text[:end].count("\n")
    code = textwrap.dedent(re.sub(r"[ \t]*//.*", "", text[:end])).rstrip()
    item.declaration = re.sub(r"\s*= default$", "", code)


def unseen(lines, seen):
    """Comments of which Doxygen has found no name: it would be missing in the reference."""
    for n in range(1, len(lines)):
        if lines[n - 1].strip().startswith("///") and not lines[n].strip().startswith("//"):
            text = "\n".join(lines[n : n + 30])
            end = n + 2 + text[: end_of_declaration(text, "function")].count("\n")
            if not any(line in seen for line in range(n + 1, end)):
                yield n + 1, "Doxygen doesn't see what this declares"


def groups(items, lines, opened_at, problems):
    """Items that share a comment: that of the first holds for what follows without a blank line.

    The first names of a class, until a blank line, may do with the comment of the class.
    """
    made = []
    at = opened_at
    for item in items:
        if made and made[-1][-1].first == item.first:  # int x, y;
            made[-1].append(item)
            continue
        joined = at and not any(not line.strip() for line in lines[at : item.first - 1])
        if item.doc is not None or not joined:
            if item.doc is None:
                problems.append((item.first, f"{item.name} has no comment"))
            made.append([item])
        elif made:
            made[-1].append(item)
        else:
            made.append([item])
        at = item.last
        # What a body holds separates nothing.
        while (
            at < len(lines)
            and lines[at - 1].strip()
            and not re.search(r"[;}]\s*(//.*)?$", lines[at - 1])
        ):
            at += 1
    return made


class Names:
    """All public names, and where the reference has them."""

    def __init__(self, headers, scratch):
        self.folder = headers
        # By themselves: two of its functions differ from others by their constraints alone, which
        # Doxygen takes for one function.
        apart = headers / "asio.hpp"
        others = [path for path in sorted(headers.glob("*.hpp")) if path != apart]
        self.headers, seen = read(
            run_doxygen(headers, others, scratch / "doxygen")
            + run_doxygen(headers, [apart], scratch / "doxygen-asio")
        )
        self.pages = {}  # of each header its names, in groups that share a comment
        self.urls = {}
        self.problems = []
        for path in [*others, apart]:
            self._arrange(path, seen.get(path.name, ()))

    def _arrange(self, path, seen):
        items = self.headers.get(path.name, [])
        lines = path.read_text().splitlines()
        problems = list(unseen(lines, seen))
        for item in items:
            for named in [item, *item.members]:
                declare(named, lines)
                url = f"reference/{path.stem}.html#{named.anchor}"
                self.urls.setdefault(named.name, url)
        classes = [item for item in items if item.kind in CLASSES]
        for item in classes:
            if not self._is_described(item):
                problems.append((item.first, f"{item.name} has no comment"))
            item.members = groups(item.members, lines, item.last, problems)
        others = groups([item for item in items if item not in classes], lines, 0, problems)
        if items:
            made = [[item] for item in classes] + others
            self.pages[path.name] = sorted(made, key=lambda group: group[0].line)
        self.problems += [f"{path}:{line}: {text}" for line, text in problems]

    def _is_described(self, item):
        """Whether it has a comment, or another specialisation of it."""
        name = re.sub(r"<.*", "", item.name)
        return any(
            other.doc is not None and re.sub(r"<.*", "", other.name) == name
            for items in self.headers.values()
            for other in items
        )

    def url_of(self, code):
        """The page and anchor that a piece of code is about, or None."""
        match = re.fullmatch(r"(?:hoist::)?((?:\w+::)*~?\w+)([(<{].*)?", code, re.DOTALL)
        if not match or match[1].islower() and not (match[2] or "").startswith("("):
            return None
        return self.urls.get(match[1])


def render(doc, code_block, code_span):
    """Doxygen's paragraphs as HTML. code_block and code_span render code."""
    if doc is None:
        return ""

    def inner(element):
        out = html.escape(element.text or "", quote=False)
        for child in element:
            out += one(child) + html.escape(child.tail or "", quote=False)
        return out

    def one(element):
        tag = element.tag
        if tag in ("verbatim", "programlisting"):
            lines = [
                "".join(" " if e.tag == "sp" else e.text or "" for e in line.iter())
                for line in element.iter("codeline")
            ] or [element.text or ""]
            return "</p>" + code_block(textwrap.dedent("\n".join(lines)).strip("\n")) + "<p>"
        if tag in ("computeroutput", "ref"):
            return code_span("".join(element.itertext()))
        if tag == "para":
            return f"<p>{inner(element)}</p>\n"
        if tag in ("itemizedlist", "orderedlist"):
            kind = "ul" if tag == "itemizedlist" else "ol"
            return f"</p><{kind}>{inner(element)}</{kind}><p>"
        plain = {"listitem": "li", "emphasis": "em", "bold": "strong", "superscript": "sup"}
        if tag in plain:
            return f"<{plain[tag]}>{inner(element)}</{plain[tag]}>"
        signs = {"ndash": "–", "mdash": "—", "nonbreakablespace": " ", "linebreak": " "}
        return signs.get(tag) or inner(element)

    return re.sub(r"<p>\s*</p>\n?", "", inner(doc)).strip()
