"""Pages that lie elsewhere in the project, and links between it and the site.

A hook of MkDocs. On a code host the same files are read in place, with the links that they have.
"""

import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

PROJECT = Path(__file__).resolve().parents[1]
PAGES = {
    "README.md": "index.md",
    "config/README.md": "configuration.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
}
_LINK = re.compile(r"(?<!!)\[([^\]]*)\]\((?!https?:|#)([^)#]*)(#[^)]*)?\)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages, with their links as the site needs them."""
    for source, page in PAGES.items():
        text = (PROJECT / source).read_text(encoding="utf-8")
        text = text.replace("](docs/demo.jpg)", "](demo.jpg)")
        text = _relink(text, (PROJECT / source).parent)
        files.append(File.generated(config, page, content=text))
    return files


def on_page_markdown(markdown: str, page, config: MkDocsConfig, files: Files) -> str:
    """Links out of `docs/` lead to a page of the site, or are plain text."""
    return markdown if page.file.generated_by else _relink(markdown, PROJECT / "docs")


def _relink(text: str, folder: Path) -> str:
    def relinked(link: re.Match) -> str:
        words, target, anchor = link[1], link[2], link[3] or ""
        path = (folder / target).resolve()
        if path.is_relative_to(PROJECT / "docs"):
            return f"[{words}]({path.relative_to(PROJECT / 'docs')}{anchor})"
        page = PAGES.get(str(path.relative_to(PROJECT)))
        return f"[{words}]({page}{anchor})" if page else words

    return _LINK.sub(relinked, text)
