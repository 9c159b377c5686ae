"""No secret is committed: detect-secrets over every tracked file.

In the product every detector looks. In tests and the sandbox, which are full of made-up passwords,
only those that know a real thing by its shape (private keys, Stripe's live keys, cloud keys). A
false alarm is marked where it stands: `pragma: allowlist secret`.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator

from detect_secrets import SecretsCollection
from detect_secrets.core.plugins.util import get_mapping_from_secret_type_to_class
from detect_secrets.settings import default_settings, transient_settings

from tests.checks.__main__ import BASE, tracked

GUESSES = {"KeywordDetector", "Base64HighEntropyString", "HexHighEntropyString"}
FILTERS = [
    {"path": "detect_secrets.filters.allowlist.is_line_allowlisted"},
    {"path": "detect_secrets.filters.heuristic.is_sequential_string"},
    {"path": "detect_secrets.filters.heuristic.is_potential_uuid"},
    {"path": "detect_secrets.filters.heuristic.is_templated_secret"},
    {"path": "detect_secrets.filters.heuristic.is_lock_file"},
]
HASHES = re.compile(r"^requirements.*\.txt$|\.sha256$|\.(gz|png|ico|woff2)$|^vendor_migrations/")
INVENTED = re.compile(r"^tests/|^sandbox/|(^|/)migrations/")  # migrations hold triggers' hashes
LIVE_KEY = re.compile(r"\b[rs]k_live_[0-9a-zA-Z]{20,}")


def plugins() -> list[str]:
    with default_settings():
        names = {kind.__name__ for kind in get_mapping_from_secret_type_to_class().values()}
    return sorted(names - {"IPPublicDetector"})


def scan(files: list[str], names: list[str]) -> Iterator[str]:
    found = SecretsCollection(root=str(BASE))
    settings = {"plugins_used": [{"name": name} for name in names], "filters_used": FILTERS}
    with transient_settings(settings):
        for path in files:
            found.scan_file(path)
        for path, secret in found:
            if " " not in (secret.secret_value or ""):  # a sentence for a person is no secret
                yield f"{path}:{secret.line_number}: looks like a secret ({secret.type})"


def main() -> int:
    files = [path for path in tracked() if not HASHES.search(path)]
    invented = [path for path in files if INVENTED.search(path)]
    everything = plugins()
    faults = [
        *scan(sorted(set(files) - set(invented)), everything),
        *scan(invented, [name for name in everything if name not in GUESSES]),
    ]
    faults += [
        f"{path}: holds a live Stripe key"
        for path in files
        if LIVE_KEY.search((BASE / path).read_text(errors="replace"))
    ]
    print("\n".join(faults))
    return bool(faults)


if __name__ == "__main__":
    sys.exit(main())
