"""TCP proxies that cut, delay, hang and move. One thread runs all of them."""
import asyncio
import itertools
import threading

import stack

CHUNK = 65536
ADDRESSES = 200  # of the loopback network, which moving proxies take in turn


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
    """Forwards `port` of 127.0.0.1 to a server's port, `target`. A new target applies to new
    connections. Public methods are for other threads."""

    def __init__(self, loop, target):
        self.loop, self.target = loop, target
        self.port = stack.free_port()
        self.connections = {}  # number: the writers
        self.numbers = itertools.count()
        self.server = self.open = self.second = None
        self.silent = False
        self.moves = 0
        loop.call(self.listen())

    async def listen(self):
        self.open = asyncio.Event()  # unset: bytes are held back
        self.open.set()
        self.server = await asyncio.start_server(self.serve, "127.0.0.1", self.port)

    async def serve(self, reader, writer):
        number = next(self.numbers)
        if self.silent:
            self.connections[number] = (writer,)
            return
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
        ends = {number: ends for number, ends in self.connections.items() if number % every == 0}
        for number, pair in ends.items():
            for end in pair:
                end.transport.abort()
            if len(pair) == 1:  # nothing else takes it out
                del self.connections[number]
        return len(ends)

    async def set_open(self, is_open):
        if is_open:
            self.open.set()
        else:
            self.open.clear()

    async def set_silent(self, silent):
        self.silent = silent
        return await self.abort(1)

    async def exchange_second(self, address):
        if self.second:
            self.second.close()
        await self.abort(1)
        self.second = await asyncio.start_server(self.serve, *address)

    def cut(self, every=1):
        """Resets every n-th connection; how many."""
        return self.loop.call(self.abort(every))

    def hold(self):
        """Lets no byte pass until release()."""
        self.loop.call(self.set_open(False))

    def release(self):
        self.loop.call(self.set_open(True))

    def hang(self):
        """Cuts all connections, and accepts new ones without a reply until answer(). Returns the
        number of cut ones."""
        return self.loop.call(self.set_silent(True))

    def answer(self):
        self.loop.call(self.set_silent(False))

    def retarget(self, target):
        """Cuts all connections, and forwards to another port from now on."""
        self.target = target
        self.cut()

    def move(self):
        """Cuts all connections, and listens at another address beside `port` from now on, instead of
        the one of the last move: "address:port"."""
        self.moves += 1
        address = (f"127.0.0.{1 + self.moves % ADDRESSES}", stack.free_port())
        self.loop.call(self.exchange_second(address))
        return f"{address[0]}:{address[1]}"
