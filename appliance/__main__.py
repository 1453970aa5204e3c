"""`python -m appliance` is `fanlight`."""

import sys

from appliance.cli import main

sys.exit(main())
