# subscribe.py URL KEY - needs python3-websockets; URL is like ws://127.0.0.1:8080/api/v1/ws
import asyncio
import json
import sys

from websockets import ConnectionClosed, connect


async def main(url, key, last=""):
    while True:  # each connection goes on behind the last frame of the one before
        try:
            async with connect(f"{url}/subscribe?event_types=pdfm&last_event_id={last}",
                               extra_headers={"X-Api-Key": key}) as socket:
                async for frame in socket:
                    event = json.loads(frame)
                    last = event["id"]
                    print(event["event_type"], event["message"], event.get("body"), flush=True)
        except (ConnectionClosed, OSError):
            await asyncio.sleep(1)

asyncio.run(main(*sys.argv[1:]))
