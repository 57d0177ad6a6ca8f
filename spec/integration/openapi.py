"""Checks the API description, and responses against it."""
import functools
import json
import re
import subprocess

import http_client
from jsonschema import Draft202012Validator, RefResolver
from stack import ROOT

# https://spec.openapis.org/oas/3.1/schema/2022-10-07, as published.
STANDARD = ROOT / "spec/integration/openapi_3_1.json"
METHODS = {"get", "put", "post", "delete", "options", "head", "patch", "trace"}


@functools.cache
def document():
    """What `aggregator openapi` prints for the scripts of this tree."""
    done = subprocess.run([http_client.BUILD / "aggregator", "openapi"], cwd=ROOT, text=True,
                          capture_output=True, check=True)
    return json.loads(done.stdout)


def resolve(node):
    """The node with every reference outside schemas replaced by what it points to."""
    if isinstance(node, dict):
        if "$ref" in node and not node["$ref"].startswith("#/components/schemas/"):
            return resolve(follow(node["$ref"]))
        return {key: resolve(value) for key, value in node.items()}
    return [resolve(value) for value in node] if isinstance(node, list) else node


def follow(reference):
    assert reference.startswith("#/"), reference
    node = document()
    for part in reference[2:].split("/"):
        node = node[part.replace("~1", "/").replace("~0", "~")]
    return node


def schemas(node):
    """Every schema of the document."""
    if isinstance(node, dict):
        yield from ([node["schema"]] if "schema" in node else [])
        for value in node.values():
            yield from schemas(value)
    elif isinstance(node, list):
        for value in node:
            yield from schemas(value)


def check_document(about=None):
    about = about or document()
    Draft202012Validator(json.loads(STANDARD.read_text())).validate(about)
    for schema in [*schemas(about), *about["components"]["schemas"].values()]:
        Draft202012Validator.check_schema(schema)
    operations = [item[method]["operationId"] for path, item in about["paths"].items()
                  for method in METHODS & item.keys()]
    assert len(operations) == len(set(operations))


def path_item(path):
    """The description of a path, or None."""
    for template, item in resolve(document())["paths"].items():
        pattern = re.sub(r"\\{[a-z_]+\\}", "[^/]+", re.escape(template))
        if re.fullmatch(pattern, path.split("?")[0]):
            return item
    return None


def check_answer(path, method, answer):
    """Raises if a response (status, body, headers) does not conform to the description."""
    status, body, headers = answer
    assert headers["X-Correlation-ID"]
    item = path_item(path)
    described = item and item["get"]["responses"].get(str(status))
    if item is None:
        assert status == 404, f"{path} is served but not described"
        described = resolve(document()["components"]["responses"]["NotFound"])
    assert described, f"{path}: {status} is not described"
    for name in described.get("headers", {}):
        assert headers[name], f"{path}: {status} without {name}"
    if "content" not in described or method == "HEAD":
        assert body == b""
        return
    assert headers["Content-Type"] in described["content"]
    schema = described["content"][headers["Content-Type"]]["schema"]
    value = json.loads(body) if headers["Content-Type"] == "application/json" else body.decode()
    Draft202012Validator(schema, resolver=RefResolver("", document())).validate(value)
