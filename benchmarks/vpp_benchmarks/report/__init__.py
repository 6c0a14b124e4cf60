"""The reports of a comparison: Markdown, HTML, tables for papers, a picture; written from `RunResult`s alone."""
