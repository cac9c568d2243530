"""Where Debian's packages come from: the place this machine's own apt takes them from."""

import os
import subprocess


def debian_mirror() -> str:
    """$DEBIAN_MIRROR, or the first repository of apt's that is not a security archive."""
    named = os.environ.get("DEBIAN_MIRROR")
    return named or next(iter(_repositories()), "")


def _repositories() -> list[str]:
    listing = subprocess.run(["apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages"],
                             capture_output=True, text=True, check=False).stdout
    uris = [line.rstrip("/") for line in listing.splitlines()]
    return [uri for uri in uris if uri.startswith(("http://", "https://")) and "security" not in uri]
