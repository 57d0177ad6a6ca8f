"""The description of the API is made of what routes declare; openapi.json adds the rest."""
import copy
import json
import os
import shutil
import subprocess

import http_client
import openapi
import pytest
from stack import ROOT
from test_routes import LIMITED, ORDER, TEXT

NAME = {"type": "string", "pattern": r"^[^\u0000]*$"}
OVERLAY = json.loads((ROOT / "scripts/openapi.json").read_text())
STATUS = "/internal/v1/batches/{batch_id}/status"
LIST = "/internal/v1/batches/user/{user_id}"


@pytest.fixture
def scripts(tmp_path):
    folder = tmp_path / "scripts"
    shutil.copytree(ROOT / "scripts", folder)
    return folder


@pytest.fixture
def describe(scripts):
    """describe(overlay=…): the finished `aggregator openapi` of the scripts with this overlay."""

    def run(overlay=OVERLAY):
        text = overlay if isinstance(overlay, str) else json.dumps(overlay)
        (scripts / "openapi.json").write_text(text)
        return subprocess.run([http_client.BUILD / "aggregator", "openapi"], cwd=ROOT, text=True,
                              capture_output=True, check=False,
                              env=os.environ | {"SCRIPTS_ROOT": str(scripts)})

    return run


def changed(*keys, value):
    """The overlay with one other value; value None: without it."""
    overlay = copy.deepcopy(OVERLAY)
    node = overlay
    for key in keys[:-1]:
        node = node.setdefault(key, {})
    node[keys[-1]] = value
    return overlay


def parameters(operation):
    return {(one["in"], one["name"]): one for one in operation["parameters"]}


def test_a_route_is_described_by_its_declaration(scripts, describe):
    (scripts / "routes/order.lua").write_text(ORDER)
    document = json.loads(describe().stdout)
    openapi.check_document(document)
    item = document["paths"]["/orders/{shop}"]
    assert set(item) == {"post"}
    post = item["post"]
    found = parameters(post)
    assert post["operationId"] == "routes/order"
    assert found["path", "shop"]["required"] is True
    assert found["query", "limit"] == {
        "name": "limit", "in": "query",
        "schema": {"type": "integer", "format": "int64", "minimum": 1, "maximum": 100}}
    assert found["query", "dry_run"]["schema"] == {"type": "boolean"}
    assert found["header", "Idempotency-Key"]["schema"]["maxLength"] == 40
    assert "If-None-Match" not in [name for _, name in found]
    body = post["requestBody"]
    assert body["required"] is True and "100000" in body["description"]
    schema = body["content"]["application/json"]["schema"]
    assert sorted(schema["required"]) == ["count", "customer"]
    assert schema["properties"]["customer"] == {
        "type": "object", "required": ["name"], "properties": {"name": NAME},
        "additionalProperties": False}
    assert schema["additionalProperties"] is False
    assert schema["properties"]["note"]["type"] == ["string", "null"]
    assert schema["properties"]["items"]["items"]["required"] == ["sku"]
    assert {"200", "400", "401", "411", "413", "415", "503"} <= post["responses"].keys()
    assert not {"304", "429"} & post["responses"].keys()


def test_authentication_rates_and_streams_are_described(scripts, describe):
    (scripts / "routes/text.lua").write_text(TEXT)
    (scripts / "routes/limited.lua").write_text(LIMITED)
    paths = json.loads(describe().stdout)["paths"]
    assert paths["/texts"]["put"]["security"] == []
    assert "401" not in paths["/texts"]["put"]["responses"]
    assert list(paths["/texts"]["put"]["requestBody"]["content"]) == ["text/plain"]
    assert "429" in paths["/limited"]["get"]["responses"]
    assert "security" not in paths["/limited"]["get"]
    live = paths["/internal/v1/batches/{batch_id}/events"]["get"]
    assert list(live["responses"]["200"]["content"]) == ["text/event-stream"]
    assert {("query", "answer"), ("header", "Last-Event-ID")} <= parameters(live).keys()


def test_head_and_aliases_are_described_as_their_routes(describe):
    paths = json.loads(describe().stdout)["paths"]
    assert "content" not in paths[STATUS]["head"]["responses"]["200"]
    alias, main = paths["/batches/{batch_id}/status"]["get"], paths[STATUS]["get"]
    assert alias["operationId"] != main["operationId"]
    assert alias["responses"] == main["responses"] and alias["summary"] == main["summary"]


def test_a_correlation_id_that_is_replaced_is_not_described_as_refused(describe):
    get = json.loads(describe().stdout)["paths"][STATUS]["get"]
    assert parameters(get)["header", "X-Correlation-ID"]["schema"] == {"type": "string"}


def test_an_overlay_adds_to_what_is_declared(describe):
    get = json.loads(describe().stdout)["paths"][LIST]["get"]
    assert get["summary"] == OVERLAY["paths"][LIST]["get"]["summary"]
    assert parameters(get)["query", "limit"]["schema"]["maximum"] == 100
    assert "ETag" in get["responses"]["200"]["headers"]  # stays beside the described content


def test_without_an_overlay_the_description_is_valid(scripts, describe):
    openapi.check_document(json.loads(describe("{}").stdout))


@pytest.mark.parametrize("overlay, problem", [
    ("{", "not JSON: "),
    ("[1]", "the file is not an object"),
    (changed("pahts", value={}), '"pahts" is no key of an OpenAPI document'),
    (changed("paths", "/nowhere", value={}), "paths./nowhere: no route has this path"),
    (changed("paths", STATUS, "put", value={}),
     f"paths.{STATUS}.put: no route of this path has the method"),
    (changed("paths", LIST, "get", "parameters", value=[{"name": "lmit", "in": "query"}]),
     f"paths.{LIST}.get: no parameter lmit (query) is declared; there are user_id (path), "),
    (changed("paths", LIST, "parameters", value=[{"name": "user", "in": "path"}]),
     f"paths.{LIST}: no parameter user (path) is declared"),
    (changed("paths", LIST, "get", "security", value=[]),
     f"paths.{LIST}.get.security differs from the route's: remove it here, and change `auth`"),
    (changed("paths", LIST, "get", "operationId", value="other"), "change `endpoint` of the route"),
    (changed("paths", LIST, "get", "requestBody", value={}), "requestBody: the route has no `body`"),
    (changed("paths", LIST, "get", "responses", value={"OK": {}}), '.responses: "OK" is no status'),
    (changed("components", "schemas", "Phase", value={"$ref": "#/components/schemas/Fase"}),
     '"$ref": "#/components/schemas/Fase" points to nothing')])
def test_an_overlay_that_no_route_bears_out_is_a_mistake(describe, scripts, overlay, problem):
    failed = describe(overlay)
    assert failed.returncode == 1
    assert f"{scripts}/openapi.json: " in failed.stderr and problem in failed.stderr


def test_check_finds_the_mistakes_of_an_overlay(describe, scripts):
    describe(changed("paths", "/nowhere", value={}))
    checked = subprocess.run(
        [http_client.BUILD / "aggregator", "check", "--format=json"], cwd=ROOT, text=True,
        capture_output=True, check=False, env=os.environ | {"SCRIPTS_ROOT": str(scripts)})
    findings = json.loads(checked.stdout)["findings"]
    assert checked.returncode == 1
    assert [(one["file"], one["about"]) for one in findings if one["level"] == "error"] == [
        (f"{scripts}/openapi.json", "scripts")]


def test_a_reload_replaces_the_description_or_refuses_it(scripts):
    with http_client.servers() as world:
        program = world.start(env={"SCRIPTS_ROOT": str(scripts)}).wait_ready()

        def title():
            return program.ask("/openapi.json", headers=b"").json()["info"]["title"]

        (scripts / "openapi.json").write_text(json.dumps(changed("info", "title", value="New")))
        program.command("reload")
        assert title() == "New"
        wrong = changed("paths", "/nowhere", value={})
        (scripts / "openapi.json").write_text(json.dumps(wrong))
        refused = program.command("reload", check=False)
        assert refused.returncode != 0 and "no route has this path" in refused.stdout
        assert title() == "New"
        program.command("rollback")
        assert title() == OVERLAY["info"]["title"]
