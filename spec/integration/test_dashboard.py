"""The Grafana dashboard: it is what its table says, and a real Prometheus that reads the running
program has series for each of its queries."""
import json
import re

import dashboard
import pytest
from prometheus import Prometheus
from stack import ROOT, wait_until

FILE = ROOT / "packaging/grafana/aggregator.json"
LIST = "/internal/v1/batches/user/teacher"
STATUS = "/internal/v1/batches/unknown/status"
KEYLESS = {"X-Service-ID": "api-gateway-service"}


@pytest.fixture(scope="module")
def board():
    return json.loads(FILE.read_text())


def panels(board):
    return [panel for panel in board["panels"] if panel["type"] != "row"]


def test_the_dashboard_is_that_of_its_table(board):
    assert board == json.loads(json.dumps(dashboard.dashboard())), \
        "run tools/lib/dashboard.py > packaging/grafana/aggregator.json"


def test_panels_have_ids_units_and_places_of_their_own(board):
    ids = [panel["id"] for panel in board["panels"]]
    assert len(ids) == len(set(ids)) and board["schemaVersion"] == 37
    places = set()
    for panel in board["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        cells = {(x, y) for x in range(place["x"], place["x"] + place["w"])
                 for y in range(place["y"], place["y"] + place["h"])}
        assert not cells & places, panel["title"]
        places |= cells
    for panel in panels(board):
        assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]
        assert all(target["datasource"]["uid"] == "${datasource}" for target in panel["targets"])
        assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"])


def test_the_variables_select_data_source_and_process(board):
    assert [variable["name"] for variable in board["templating"]["list"]] == ["datasource", "instance"]
    for panel in panels(board):
        for target in panel["targets"]:
            selectors = re.findall(r"\b(?:ras|process)_\w+(\{[^}]*\})?", target["expr"])
            assert all("$instance" in selector for selector in selectors), target["expr"]


def queries(board):
    """The queries as Grafana sends them: {query: whether it has series in each installation}."""
    optional = {panel.title for _, section in dashboard.SECTIONS for panel in section if panel.optional}
    found = {target["expr"]: panel["title"] not in optional
             for panel in panels(board) for target in panel["targets"]}
    found |= {note["expr"]: False for note in board["annotations"]["list"]}
    return {query.replace("$instance", ".+").replace("$__rate_interval", "30s"): always
            for query, always in found.items()}


def use(program):
    """Requests of each kind that the metrics tell apart."""
    program.get(STATUS)  # cached from then on
    program.get(STATUS)
    program.get(LIST + "?limit=none")
    program.get(LIST, KEYLESS)


def test_each_query_has_series_in_a_real_prometheus(bare_service, tmp_path, board):
    program = bare_service.start()
    program.get("/readyz")  # not ready yet: a 503
    prometheus = Prometheus(tmp_path, [program])
    bare_service.cleanup.callback(prometheus.kill)
    prometheus.start()
    bare_service.wait_ready()
    bare_service.feed("current-hard")
    missing = queries(board)

    def all_have_series():
        use(program)
        for query, always in list(missing.items()):
            if prometheus.query(query) or not always:
                del missing[query]
        return not missing

    try:
        wait_until("series of all queries", all_have_series, interval_s=0.5)
    except AssertionError:
        pytest.fail("no series for:\n" + "\n".join(missing))
