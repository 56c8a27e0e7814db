"""A TCP proxy that treats connections badly: cuts them after a while, in the
middle of a frame if need be, delays and chops what they carry, and sends the
request of some a second time on a connection of its own, as a proxy does that
believes that the first one was lost."""

import asyncio
import random
import threading


class RoughProxy:
    def __init__(self, target, seed):
        self.host, port = target.rsplit(":", 1)
        self.port = int(port)
        self.random = random.Random(seed)
        self.rough = True
        self.counts = {"connections": 0, "cuts": 0, "delays": 0, "duplicates": 0}
        self.loop = asyncio.new_event_loop()
        threading.Thread(target=self.loop.run_forever, daemon=True).start()
        self.server = asyncio.run_coroutine_threadsafe(
            asyncio.start_server(self.serve, "127.0.0.1", 0), self.loop).result(10)
        self.address = "127.0.0.1:%d" % self.server.sockets[0].getsockname()[1]

    def close(self):
        self.loop.call_soon_threadsafe(self.server.close)
        self.loop.call_soon_threadsafe(self.loop.stop)

    async def serve(self, reader, writer):
        self.counts["connections"] += 1
        try:
            up_reader, up_writer = await asyncio.open_connection(self.host, self.port)
        except OSError:
            writer.transport.abort()
            return
        ends = (writer, up_writer)
        if self.rough:
            self.loop.call_later(self.random.expovariate(1 / 1.5), self.cut, ends)
        tasks = [asyncio.ensure_future(self.pump(reader, up_writer, ends, True)),
                 asyncio.ensure_future(self.pump(up_reader, writer, ends, False))]
        await asyncio.wait(tasks)
        for end in ends:
            end.transport.abort()

    def cut(self, ends):
        if not self.rough:
            return
        if not ends[0].transport.is_closing():
            self.counts["cuts"] += 1
        # now and then only one of the two sides hears of it at once
        first = self.random.choice([(0, 1), (0,), (1,)])
        for i in first:
            ends[i].transport.abort()

    async def pump(self, reader, writer, ends, request):
        try:
            while data := await reader.read(65536):
                if self.rough and request and data.startswith(b"GET ") and self.random.random() < 0.1:
                    asyncio.ensure_future(self.again(data))
                if self.rough and self.random.random() < 0.2:
                    self.counts["delays"] += 1
                    await asyncio.sleep(self.random.expovariate(20))  # a delay
                if self.rough and len(data) > 1 and self.random.random() < 0.2:
                    at = self.random.randrange(1, len(data))
                    writer.write(data[:at])
                    await asyncio.sleep(0.005)  # a delay
                    if self.random.random() < 0.2:
                        self.cut(ends)  # in the middle of a frame
                        break
                    data = data[at:]
                writer.write(data)
                await writer.drain()
        except OSError:
            pass
        for end in ends:
            end.close()

    async def again(self, data):
        """The same request on another connection; nobody reads the answer."""
        self.counts["duplicates"] += 1
        try:
            _, writer = await asyncio.open_connection(self.host, self.port)
            writer.write(data)
            await writer.drain()
            await asyncio.sleep(self.random.uniform(0, 1))  # a delay
            writer.transport.abort()
        except OSError:
            pass
