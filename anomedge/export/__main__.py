"""`python -m anomedge.export MODEL -o BUNDLE --frame HxW`."""

import sys

from anomedge.__main__ import run_command

if __name__ == "__main__":
    sys.exit(run_command("export", sys.argv[1:]))
