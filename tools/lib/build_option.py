"""A plugin of pytest: --build, the folder of the built program, and the fixture `build`."""
import pytest
from stack import ROOT


def pytest_addoption(parser):
    parser.addoption("--build", default="build", help="folder of the built program")


@pytest.fixture(scope="session")
def build(request):
    return ROOT / request.config.getoption("build")
