"""Licences of what records are made from: which of them allow to publish records, and how the Hub names them."""

import re
from typing import Literal, NamedTuple

Verdict = Literal["allowed", "forbidden", "unknown"]

# https://huggingface.co/docs/hub/repositories-licenses
_HUB_CC = {
    *("cc-by-2.0", "cc-by-2.5", "cc-by-3.0", "cc-by-4.0", "cc-by-sa-3.0", "cc-by-sa-4.0", "cc-by-nd-4.0"),
    *("cc-by-nc-2.0", "cc-by-nc-3.0", "cc-by-nc-4.0", "cc-by-nc-sa-2.0", "cc-by-nc-sa-3.0", "cc-by-nc-sa-4.0"),
    *("cc-by-nc-nd-3.0", "cc-by-nc-nd-4.0"),
}
_CC = re.compile(r"(?:\bcc[\s-]*|licenses/)(by(?:[\s-]*(?:nc|nd|sa))*)\b[\s/-]*v?(\d\.\d)?")
_OTHERS = (
    (r"\bcc[\s-]*0\b|publicdomain/zero", "cc0-1.0", "https://creativecommons.org/publicdomain/zero/1.0/"),
    (r"\bmit\b", "mit", "https://opensource.org/license/mit"),
    (r"\bapache[\s-]*(license[\s,-]*)?(version\s*)?2", "apache-2.0", "https://www.apache.org/licenses/LICENSE-2.0"),
    (r"\bodc[\s-]*by\b", "odc-by", "https://opendatacommons.org/licenses/by/1-0/"),
    (r"\bodbl\b", "odbl", "https://opendatacommons.org/licenses/odbl/1-0/"),
    (r"\bpddl\b|\bpublic domain\b", "pddl", "https://opendatacommons.org/licenses/pddl/1-0/"),
)
_LONG_FORMS = (
    (r"creative commons", "cc"),
    (r"\battribution\b", "by"),
    (r"\bnon-?\s?commercial\b", "nc"),
    (r"\bno-?\s?deriv(?:ative)?s?\b", "nd"),
    (r"\bshare-?\s?alike\b", "sa"),
)
_NO_DERIVATIVES = "NoDerivatives: records made from it may not be published"
_RESERVED = re.compile(r"all rights reserved|proprietary|no redistribution|not to be (?:published|redistributed)")


class Licence(NamedTuple):
    """What a licence's text says: its name on the Hub (`"other"` where the Hub has none), where it can be read, and
    whether what is made from a work under it may be published."""

    hub: str
    url: str | None
    verdict: Verdict
    reason: str = ""


def read_licence(text: str) -> Licence:
    """Understand a licence as people write it: `CC BY-NC 4.0`, `cc-by-nc-4.0`, an address, `MIT`, `unknown: ...`.

    Records quote and describe their source: they are derived from it, which NoDerivatives licences forbid to publish.
    A text that is not understood is unknown, and nothing unknown is published.
    """
    low = " ".join(text.lower().replace("_", "-").split())
    if not low or re.search(r"\bunknown\b|\bunstated\b|^none$", low):
        return Licence("other", None, "unknown", "its licence is unknown")
    if _RESERVED.search(low):
        return Licence("other", None, "forbidden", "its licence reserves publication")
    for long, short in _LONG_FORMS:
        low = re.sub(long, short, low)
    if match := _CC.search(low):
        terms = "-".join(re.findall(r"by|nc|nd|sa", match[1]))
        version = match[2] or "4.0"
        name = f"cc-{terms}-{version}"
        url = f"https://creativecommons.org/licenses/{terms}/{version}/"
        if "nd" in terms.split("-"):
            return Licence(name if name in _HUB_CC else "other", url, "forbidden", _NO_DERIVATIVES)
        return Licence(name if name in _HUB_CC else "other", url, "allowed")
    if re.search(r"\bnd\b", low):
        return Licence("other", None, "forbidden", _NO_DERIVATIVES)
    for pattern, name, address in _OTHERS:
        if re.search(pattern, low):
            return Licence(name, address, "allowed")
    return Licence("other", None, "unknown", "its licence is not known to videopath_hf")
