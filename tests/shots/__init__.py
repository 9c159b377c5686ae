"""Photographs of every page at phone and desktop width, judged by axe: `make shots`.

Needs a Chromium on the PATH. Without --base it starts a stack of its own with the demo data under
var/shots-stack. Exit 1 when a page has an accessibility violation, a console error (a breach of the
Content-Security-Policy is one), a status other than expected, or is wider than its window.
"""
