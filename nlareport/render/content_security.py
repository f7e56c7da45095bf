"""Content-Security-Policies: what each page of a report may load and run, and one for pages that a theme wrote.

No page may reach another host. A page of the theme has inline scripts; exactly its own may run, each by its digest.
"""

import base64
import hashlib
import re

REPORT_POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'"
)
"""Of every page of a report that names no other."""
BROWSER_POLICY = f"{REPORT_POLICY}; worker-src blob:"
"""Of the sample browser, which searches in a worker whose source is its own."""
CONSOLE_POLICY = (
    # The engine is WebAssembly; its worker starts from a blob, so that this very policy holds in it too, and reads its
    # code from another.
    "default-src 'none'; style-src 'self'; script-src 'self' 'wasm-unsafe-eval'; worker-src blob:; "
    "img-src 'self' data:; connect-src 'self' blob:; base-uri 'none'; form-action 'none'"
)
"""Of the page that runs SQL."""

INLINE_SCRIPT = re.compile(r"<script>(.*?)</script>", re.DOTALL)
"""Scripts that run: those with a source need no digest, those with a type are data."""
CHARSET = '<meta charset="utf-8">'


def with_policy(html: str) -> str:
    """A page of the theme with its policy as the second thing in its head; one without a head is returned as it is."""
    digests = dict.fromkeys(_digest(script) for script in INLINE_SCRIPT.findall(html))
    scripts = " ".join(["'self'", *digests])
    policy = (
        f"default-src 'none'; script-src {scripts}; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "worker-src 'self'; base-uri 'none'; form-action 'none'"
    )
    # Before anything else is read: a policy binds only what comes after it.
    return html.replace(CHARSET, f'{CHARSET}\n<meta http-equiv="Content-Security-Policy" content="{policy}">', 1)


def _digest(script: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"
