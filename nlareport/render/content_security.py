"""A strict Content-Security-Policy for pages that a theme wrote, inline scripts and all.

Enters a page's HTML; leaves it with a policy that lets exactly its own inline scripts run, each by its digest, and
nothing reach another host.
"""

import base64
import hashlib
import re

INLINE_SCRIPT = re.compile(r"<script>(.*?)</script>", re.DOTALL)
"""Scripts that run: those with a source need no digest, those with a type are data."""
CHARSET = '<meta charset="utf-8">'


def with_policy(html: str) -> str:
    """The page with its policy as the second thing in its head; a page without a head comes back as it is."""
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
