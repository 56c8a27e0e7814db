"""subscriber.py URL KEY LAST_EVENT_ID FILE [CODE]: writes the frames of pdfm
that it receives into a file.  With CODE it ends when it is closed, with status
0 only if that was the close code."""

import asyncio
import sys

import websockets.client
import websockets.exceptions


async def main(url, key, last, path, code=None):
    address = url.replace("http", "ws", 1) + "/subscribe?event_types=pdfm&last_event_id=" + last
    async with websockets.client.connect(address, extra_headers={"X-Api-Key": key}) as ws:
        with open(path, "w", encoding="utf-8") as out:
            try:
                while True:
                    out.write(await ws.recv() + "\n")
                    out.flush()
            except websockets.exceptions.ConnectionClosed:
                return 0 if code == str(ws.close_code) else 1

sys.exit(asyncio.run(main(*sys.argv[1:])))
