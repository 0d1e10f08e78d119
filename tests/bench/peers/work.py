"""Measures the peers of one module in one suite: a JSON line a row, as they come.

Usage, in tests/bench: python -m peers.work MODULE SUITE SECONDS

The process ends after so many seconds of CPU time, whatever else the machine does.
"""

from __future__ import annotations

import importlib
import json
import logging
import os
import resource
import sys
import warnings
from importlib.metadata import version

os.environ.setdefault("OPENAI_API_KEY", "not-used")
os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
warnings.simplefilter("ignore")
logging.disable(logging.WARNING)


def tell(kind: str, peer: str, value: object) -> None:
    print(json.dumps({"kind": kind, "peer": peer, "value": value}), flush=True)


def main(module: str, suite: str, seconds: str) -> None:
    resource.setrlimit(resource.RLIMIT_CPU, (int(seconds), int(seconds) + 5))
    from peers.measured import SUITES

    for peer in importlib.import_module(f"peers.{module}").PEERS:
        tell("version", peer.title, f"{peer.distribution} {version(peer.distribution)}")
        try:
            for row in SUITES[suite](peer):
                tell("row", peer.title, row)
        except Exception as exc:  # noqa: BLE001 - whatever a peer raises stands in its row
            tell("raised", peer.title, f"{type(exc).__name__}: {exc}"[:200])


if __name__ == "__main__":
    main(*sys.argv[1:])
