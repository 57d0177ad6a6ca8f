"""TCP proxies that cut, delay and refuse. One thread runs all of them."""
import asyncio
import itertools
import threading

import stack

CHUNK = 65536


class Loop:
    """The thread's event loop."""

    def __init__(self):
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, name="proxies", daemon=True)
        self.thread.start()

    def call(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result()

    def stop(self):
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()


class Proxy:
    """Forwards `port` to a server's port. The public methods are for other threads."""

    def __init__(self, loop, target):
        self.loop, self.target = loop, target
        self.port = stack.free_port()
        self.connections = {}  # number: the two writers
        self.numbers = itertools.count()
        self.server = self.open = None
        loop.call(self.listen())

    async def listen(self):
        self.open = asyncio.Event()  # what is not set holds the bytes back
        self.open.set()
        self.server = await asyncio.start_server(self.serve, "127.0.0.1", self.port)

    async def serve(self, reader, writer):
        number = next(self.numbers)
        try:
            there, back = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:
            writer.transport.abort()
            return
        self.connections[number] = (writer, back)
        await asyncio.gather(self.pump(reader, back), self.pump(there, writer))
        for end in self.connections.pop(number, ()):
            end.transport.abort()

    async def pump(self, reader, writer):
        """Ends with the first of the two directions: half-closed connections are not proxied."""
        try:
            while data := await reader.read(CHUNK):
                await self.open.wait()
                writer.write(data)
                await writer.drain()
        except OSError:
            pass
        writer.close()

    async def abort(self, every):
        ends = [ends for number, ends in list(self.connections.items()) if number % every == 0]
        for pair in ends:
            for end in pair:
                end.transport.abort()
        return len(ends)

    async def set_open(self, is_open):
        if is_open:
            self.open.set()
        else:
            self.open.clear()

    def cut(self, every=1):
        """Resets every n-th connection; how many."""
        return self.loop.call(self.abort(every))

    def hold(self):
        """Lets no byte pass until release()."""
        self.loop.call(self.set_open(False))

    def release(self):
        self.loop.call(self.set_open(True))
