"""Start a stand-in by hand.

python -m tests.hub FOLDER --port 8123
python -m tests.hub FOLDER --fault status:POST:/commit/:2:429:Retry-After=1
"""

import argparse
from pathlib import Path

from tests.hub.faults import Fault
from tests.hub.server import WRITER, HubServer


def _fault(text: str) -> Fault:
    kind, method, path, times, *rest = text.split(":")
    headers = dict(pair.split("=", 1) for pair in rest[1:])
    status = int(rest[0]) if rest else 500
    return Fault(kind, method, path, times=int(times), status=status, headers=headers)  # type: ignore[arg-type]


def main() -> None:
    """Serve until interrupted."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="where contents are kept")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument(
        "--fault", type=_fault, action="append", default=[], help="kind:method:path:times[:status[:name=value...]]"
    )
    arguments = parser.parse_args()
    server = HubServer(arguments.folder, port=arguments.port)
    server.faults.planned += arguments.fault
    print(f"export HF_ENDPOINT={server.url} HF_HUB_DISABLE_XET=1 HF_HUB_OFFLINE=0 HF_TOKEN={WRITER}", flush=True)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        server.server_close()


if __name__ == "__main__":
    main()
