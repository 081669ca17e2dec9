"""Some modules run with each backend: ``pytestmark = pytest.mark.usefixtures("each_backend")``."""

from collections.abc import Iterator

import pytest

from chaincrf.crf.backends import backend


@pytest.fixture(scope="module", params=["numba", "reference"])
def each_backend(request: pytest.FixtureRequest) -> Iterator[None]:
    with backend(request.param):
        yield
