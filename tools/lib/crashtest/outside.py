"""An outside service that a handler asks; it may be down, refuse or hang. Its responses depend on the
request only, so that an undisturbed program writes the same rows."""
import asyncio
import json

import stack

from .stream import Event, Stream

TOPIC = "crashtest.ask.v1"
HANDLER = "handlers/ask.lua"
EVERY = 40  # one more event after so many
OUTAGES = ("away", "status 503", "hanging")

_HANDLER = """local http = require("http")

return {{
  topics = {{ "{topic}" }},
  time = "event_timestamp",
  fields = {{ subject = "data.subject" }},
  handle = function(event, view)
    local answer, failure = http.request({{
      url = "http://127.0.0.1:{port}/" .. event.subject, timeout_ms = 300,
    }})
    if not answer then return nil, failure end
    if answer.status ~= 200 then
      error({{ kind = "unavailable", message = "the outside service: status " .. answer.status }})
    end
    view.essay_results:merge(event.subject, "slot", {{ filename = answer.body }})
  end,
}}
"""


class Service:
    """An HTTP server on the proxies' loop. Public methods are for other threads."""

    def __init__(self, loop):
        self.loop, self.port = loop, stack.free_port()
        self.outage = None  # one of OUTAGES
        self.server = None
        self.writers = set()
        loop.call(self.listen())

    def handler(self):
        """The script that asks it."""
        return _HANDLER.format(topic=TOPIC, port=self.port)

    async def listen(self):
        self.server = await asyncio.start_server(self.serve, "127.0.0.1", self.port)

    async def serve(self, reader, writer):
        self.writers.add(writer)
        try:
            while self.outage != "hanging":
                head = await reader.readuntil(b"\r\n\r\n")
                if self.outage != "hanging":
                    writer.write(self.answer(head.split()[1].decode()))
            return  # without closing it: mend() does
        except (asyncio.IncompleteReadError, OSError):
            pass
        self.writers.discard(writer)
        writer.transport.abort()

    def answer(self, path):
        status = "503 Service Unavailable" if self.outage else "200 OK"
        body = f"file {path[1:]}.txt".encode()
        return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body

    async def set_outage(self, outage):
        if self.outage == "away":
            await self.listen()
        self.outage = outage
        if outage == "away":
            self.server.close()
        for writer in self.writers:
            writer.transport.abort()
        self.writers.clear()

    def fail(self, outage):
        self.loop.call(self.set_outage(outage))

    def mend(self):
        self.loop.call(self.set_outage(None))


class AskingStream(Stream):
    """Adds events whose handler asks the service to the stream."""

    def ask(self):
        event = {"event_id": self.fresh_id().decode(), "event_type": TOPIC,
                 "source_service": "crashtest", "event_timestamp": "2025-06-28T09:00:00Z",
                 "correlation_id": self.fresh_id().decode(),
                 "data": {"subject": self.fresh_id().decode()}}
        return Event(TOPIC, b"", json.dumps(event).encode(), None)

    def __iter__(self):
        for number, event in enumerate(super().__iter__()):
            yield event
            if number % EVERY == 0:
                yield self.ask()
