"""Run one case with the workspace's own code: python driver.py INPUT_DIR OUTPUT_DIR."""

import json
import sys
from pathlib import Path


def main(inputs: Path, outputs: Path) -> None:
    """Write the typical price to ``typical.json``."""
    sys.path.insert(0, str(Path.cwd()))
    from prices import typical  # the agent's code

    prices = json.loads((inputs / "prices.json").read_text())
    (outputs / "typical.json").write_text(json.dumps(float(typical(prices))))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
