"""call: calls each operation of a client that openapi-python-client generated, against the running
program, and compares the response with the description.

    call.py FOLDER '{"url": …, "headers": …, "streams": …, "document": …}'
"""
import importlib
import inspect
import json
import pathlib
import pkgutil
import re
import sys

VALUES = {"batch_id": "batch-1", "user_id": "user-1", "shop": "7", "parts": 3, "limit": 5}
BODIES = {"routes/order": {"customer": {"name": "Åsa"}, "count": 2, "items": [{"sku": "a"}]}}


def letters(name):
    return re.sub(r"[\W_]+", "", name).lower()


def operations(package):
    """The generated modules by the letters of their operation's id."""
    root = importlib.import_module(f"{package}.api")
    for info in pkgutil.walk_packages(root.__path__, f"{package}.api."):
        if not info.ispkg:
            yield letters(info.name.rsplit(".", 1)[1]), importlib.import_module(info.name)


def body_of(operation_id, parameter):
    """A body of the generated class."""
    made = [kind for kind in getattr(parameter.annotation, "__args__", [parameter.annotation])
            if hasattr(kind, "from_dict")]
    return made[0].from_dict(BODIES[operation_id]) if made else None


def call(client, operation_id, module):
    arguments = {}
    for name, parameter in inspect.signature(module.sync_detailed).parameters.items():
        if name == "body":
            arguments[name] = body_of(operation_id, parameter)
        elif name in VALUES:
            arguments[name] = VALUES[name]
    return module.sync_detailed(client=client, **arguments)


def described(document, streams):
    """The operations that end and that the generator knows: a body is JSON."""
    for path, item in document["paths"].items():
        for method, operation in item.items():
            body = operation.get("requestBody", {}).get("content", {"application/json": None})
            if not re.search(streams, path) and "application/json" in body:
                yield letters(operation["operationId"]), (path, method, operation)


def main():
    folder, about = pathlib.Path(sys.argv[1]), json.loads(sys.argv[2])
    sys.path.insert(0, str(folder.parent))
    document = json.loads(pathlib.Path(about["document"]).read_text())
    generated = importlib.import_module(folder.name)
    client = generated.Client(base_url=about["url"], headers=about["headers"])
    modules, wanted, failed = dict(operations(folder.name)), dict(described(
        document, about["streams"])), 0
    for name, (path, method, operation) in sorted(wanted.items()):
        problem = None
        if name not in modules:
            problem = "the client has no such call"
        else:
            response = call(client, operation["operationId"], modules[name])
            content = operation["responses"].get("200", {}).get("content", {})
            if response.status_code not in (200, 204):
                problem = f"status {response.status_code}: {response.content[:200]}"
            elif method == "get" and "application/json" in content and response.parsed is None:
                problem = "the response was not read"
        failed += problem is not None
        print(f"{'FAIL' if problem else 'ok  '} {method.upper()} {path} {problem or ''}")
    print(f"{len(wanted) - failed} calls passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
