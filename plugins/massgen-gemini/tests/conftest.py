import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from loopback_contents import serving


@pytest.fixture
def server():
    with serving() as script:
        yield script
