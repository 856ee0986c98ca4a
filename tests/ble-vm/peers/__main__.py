"""Puts controllers on one air and serves them, and what a test wants of them, on UNIX sockets in the working folder.

    python tests/ble-vm/peers SNOOP RADIOS

The sockets are `hci0` and so on (HCI as on a UART, H4), and `control`: one JSON object a line, `{"id", "do", ...}`, which
is answered by `{"id", ...}`, with `error` where it was not done. The file SNOOP gets all HCI traffic. Ends at the end of
its input.
"""

import asyncio
import json
import os
import sys

import bumble.logging
from bumble.transport.unix import open_unix_server_transport

from air import Air, Radio
from snoop import Snoop


class Control:
    """Does what a test asks for."""

    def __init__(self, radios):
        self.radios = radios

    async def do(self, request):
        radio = self.radios[request["radio"]]
        match request["do"]:
            case "heard":
                radio.set_heard(request["heard"])
            case "cut":
                radio.cut_links_after(request["after"])
            case "signal":
                radio.signal = request["dbm"]
            case "unheard":
                while radio.is_heard:
                    await radio.change()
            case "unlinked":
                while radio.le_connections:
                    await radio.change()
            case other:
                raise ValueError(f"nobody knows how to {other}")

    async def serve(self, reader, writer):
        while line := await reader.readline():
            request = json.loads(line)
            answer = {"id": request["id"]}
            try:
                await self.do(request)
            except (KeyError, ValueError) as error:
                answer["error"] = repr(error)
            writer.write(json.dumps(answer).encode() + b"\n")


async def main(snoop, count):
    air = Air(Snoop(snoop))
    radios, lines = {}, []
    for index in range(int(count)):
        name = f"hci{index}"
        line = await open_unix_server_transport(name)
        lines.append(line)
        radios[name] = Radio(name, index, air, line.source, line.sink)
    await asyncio.start_unix_server(Control(radios).serve, "control")
    print("the air is up", flush=True)
    await end_of_input()


async def end_of_input():
    ended = asyncio.Event()

    def read():
        if not os.read(sys.stdin.fileno(), 64):
            ended.set()

    asyncio.get_running_loop().add_reader(sys.stdin.fileno(), read)
    await ended.wait()


bumble.logging.setup_basic_logging("WARNING")
asyncio.run(main(*sys.argv[1:]))
