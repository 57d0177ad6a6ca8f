"""Scripts with a slip, as an author saves them by mistake. A process reloads them; no other one may
notice, and it goes on itself. The scripts of every process have two files for it from the start,
which do nothing: a route that nobody else asks, and the handler of a topic that nothing else uses."""
import json
import os
import uuid

import confluent_kafka

from .producer import QUIET

TOPIC = "crashtest.slip.v1"
PATH = "/slip"
ROUTE, HANDLER = "routes/slip.lua", "handlers/slip.lua"

_ROUTE = """return {{ method = "GET", path = "/slip", endpoint = "slip", auth = false,
  handle = function(request) {body} end }}
"""
_HANDLER = """return {{ topics = {{ "crashtest.slip.v1" }}, time = "event_timestamp", fields = {{}},
  handle = function(event, view) {body} end }}
"""


def route(body):
    return ROUTE, _ROUTE.format(body=body)


def handler(body):
    return HANDLER, _HANDLER.format(body=body)


GOOD = (route('return { status = 200, body = "{}", correlation_id = nil and request }'),
        handler('return event and view and "ignored"'))
# What is refused when it is loaded, and what shows only when it runs.
SLIPS = {
    "a module instead of a handler": (HANDLER, 'return require("json")\n'),
    "a strict table": (ROUTE, 'return setmetatable({}, { __index = function(_, k) error(k) end })\n'),
    "half a file": (ROUTE, "return {"),
    "a pipe instead of a file": (HANDLER, None),
    "an endless loop at load": (HANDLER, "while true do end\n"),
    "a heap that fills at load": (HANDLER, 'local t = {}\nfor i = 1, 1e9 do t[i] = { i } end\n'),
    "the request as answer": route("return request"),
    "a strict answer": route("return setmetatable({}, { __index = function(_, k) error(k) end })"),
    "an endless route": route("while true do end"),
    "a recursive answer": route("local t = {} t.body = t t.status = t return t"),
    "a module as result": handler('return require("json")'),
    "merges without end": handler(
        'for i = 1, 1e9 do view.essay_results:merge("slip-" .. i, "slot", { filename = "x" }) end'),
    "an endless handler": handler("while true do end"),
    "a raised table": handler("error(setmetatable({}, { __tostring = error }))"),
    "a handler that fills the heap": handler('local t = {} for i = 1, 1e9 do t[i] = { i } end'),
}


def put(folder, text_of):
    """Writes the files, {place: text}, whole: a process may read at any moment. None: a pipe that
    nobody writes to."""
    for place, text in text_of.items():
        new = folder / f"{place}.new"
        if text is None:
            os.mkfifo(new)
        else:
            new.write_text(text)
        new.rename(folder / place)


class Feeder:
    """Publishes events for the slips' handler."""

    def __init__(self, brokers):
        self.client = confluent_kafka.Producer({"bootstrap.servers": brokers, **QUIET})

    def publish(self, count):
        for _ in range(count):
            event = {"event_id": str(uuid.uuid4()), "event_type": TOPIC, "source_service": "slips",
                     "event_timestamp": "2025-06-28T09:00:00Z", "correlation_id": str(uuid.uuid4()),
                     "data": {}}
            self.client.produce(TOPIC, json.dumps(event).encode())
        self.client.poll(0)
