"""Checks the API description, and responses against it."""
import json
import re

from jsonschema import Draft202012Validator, RefResolver
from stack import ROOT

DOCUMENT = json.loads((ROOT / "scripts/openapi.json").read_text())
METHODS = {"get", "put", "post", "delete", "options", "head", "patch", "trace"}

# What OpenAPI 3.1 demands of a document, as far as this one goes.
RESPONSE = {
    "type": "object", "required": ["description"], "additionalProperties": False,
    "properties": {
        "description": {"type": "string", "minLength": 1},
        "headers": {"additionalProperties": {"type": "object", "required": ["schema"]}},
        "content": {"minProperties": 1,
                    "additionalProperties": {"type": "object", "required": ["schema"]}}}}
PARAMETER = {
    "type": "object", "required": ["name", "in", "schema"], "additionalProperties": False,
    "properties": {"name": {"type": "string"}, "in": {"enum": ["path", "query", "header"]},
                   "required": {"type": "boolean"}, "description": {"type": "string"},
                   "schema": {"type": "object"}},
    "if": {"properties": {"in": {"const": "path"}}},
    "then": {"required": ["required"], "properties": {"required": {"const": True}}}}
OPERATION = {
    "type": "object", "required": ["operationId", "responses"], "additionalProperties": False,
    "properties": {
        "operationId": {"type": "string"}, "summary": {"type": "string"},
        "security": {"type": "array", "items": {"type": "object"}},
        "parameters": {"type": "array", "items": PARAMETER},
        "responses": {"type": "object", "minProperties": 1, "additionalProperties": False,
                      "patternProperties": {"^[1-5][0-9][0-9]$": RESPONSE}}}}
META = {
    "type": "object", "required": ["openapi", "info", "paths"],
    "properties": {
        "openapi": {"pattern": r"^3\.1\.\d+$"},
        "info": {"type": "object", "required": ["title", "version"]},
        "security": {"type": "array"},
        "components": {
            "properties": {"responses": {"additionalProperties": RESPONSE},
                           "parameters": {"additionalProperties": PARAMETER},
                           "securitySchemes": {"additionalProperties": {
                               "type": "object", "required": ["type", "name", "in"]}}}},
        "paths": {
            "type": "object", "additionalProperties": False,
            "patternProperties": {"^/": {
                "type": "object",
                "properties": {"parameters": {"type": "array", "items": PARAMETER},
                               **{method: OPERATION for method in METHODS}}}}}}}


def resolve(node):
    """The node with every reference outside schemas replaced by what it points to."""
    if isinstance(node, dict):
        if "$ref" in node and not node["$ref"].startswith("#/components/schemas/"):
            return resolve(follow(node["$ref"]))
        return {key: resolve(value) for key, value in node.items()}
    return [resolve(value) for value in node] if isinstance(node, list) else node


def follow(reference):
    assert reference.startswith("#/"), reference
    node = DOCUMENT
    for part in reference[2:].split("/"):
        node = node[part.replace("~1", "/").replace("~0", "~")]
    return node


def references(node):
    if isinstance(node, dict):
        yield from ([node["$ref"]] if "$ref" in node else [])
        for value in node.values():
            yield from references(value)
    elif isinstance(node, list):
        for value in node:
            yield from references(value)


def schemas(node):
    """Every schema of the document."""
    if isinstance(node, dict):
        yield from ([node["schema"]] if "schema" in node else [])
        for value in node.values():
            yield from schemas(value)
    elif isinstance(node, list):
        for value in node:
            yield from schemas(value)


def check_document():
    Draft202012Validator(META).validate(resolve(DOCUMENT))
    for reference in references(DOCUMENT):
        follow(reference)
    for schema in [*schemas(DOCUMENT), *DOCUMENT["components"]["schemas"].values()]:
        Draft202012Validator.check_schema(schema)
    operations = [item[method]["operationId"] for path, item in DOCUMENT["paths"].items()
                  for method in METHODS & item.keys()]
    assert len(operations) == len(set(operations))


def path_item(path):
    """The description of a path, or None."""
    for template, item in resolve(DOCUMENT)["paths"].items():
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
        described = resolve(DOCUMENT["components"]["responses"]["NotFound"])
    assert described, f"{path}: {status} is not described"
    for name in described.get("headers", {}):
        assert headers[name], f"{path}: {status} without {name}"
    if "content" not in described or method == "HEAD":
        assert body == b""
        return
    assert headers["Content-Type"] in described["content"]
    schema = described["content"][headers["Content-Type"]]["schema"]
    value = json.loads(body) if headers["Content-Type"] == "application/json" else body.decode()
    Draft202012Validator(schema, resolver=RefResolver("", DOCUMENT)).validate(value)
