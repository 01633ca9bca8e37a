"""`python -m chronos_tui.commands`: the same as `chronos`."""

import sys

from chronos_tui.commands import main

sys.exit(main())
