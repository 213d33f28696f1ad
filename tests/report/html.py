"""A page as its elements, for tests that read reports."""

from html.parser import HTMLParser

VOID = {"br", "img", "meta", "link", "hr", "input"}


class Page(HTMLParser):
    """Elements, attributes and text of a page whose every tag is closed in order."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.rows, self.headings, self.text = (
            [],
            [],
            [],
            [],
            "",
        )
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        assert len(dict(attributes)) == len(attributes)
        if tag not in VOID:
            self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        elif tag in {"td", "th"}:
            self.rows[-1].append("")
        elif tag in {"h1", "h2", "h3"}:
            self.headings.append((int(tag[1]), ""))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" in self.open:
            return
        self.text += data
        if self.open and self.open[-1] in {"h1", "h2", "h3"}:
            level, before = self.headings[-1]
            self.headings[-1] = (level, before + data)
        if {"td", "th"} & set(self.open):
            self.rows[-1][-1] += data.strip()

    def of(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]

    def named(self, level):
        return [text for found, text in self.headings if found == level]
