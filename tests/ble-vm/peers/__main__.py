"""Puts controllers on one air and serves them, and what a test wants of them, on UNIX sockets in the working folder.

    python tests/ble-vm/peers SNOOP RADIOS

The sockets are `hci0` and so on (HCI as on a UART, H4); `control`, one JSON object a line, `{"id", "do", ...}`, which is
answered by `{"id", ...}`, with `error` where it was not done; and those of PEERS, the radios of independent peers on the
same air, which take orders and tell what happens as JSON lines too. The file SNOOP gets all HCI traffic. Ends at the
end of its input.
"""

import asyncio
import json
import logging
import os
import sys

import bumble.logging
from bumble.transport.unix import open_unix_server_transport

from air import Air, Radio
from lock import Lock
from phone import Phone
from snoop import Snoop


# A phone, a lock and another one, and what passes for something else.
PEERS = {"phone": Phone, "lock": Lock, "other": Lock, "stranger": Lock}


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

    async def answer(self, request, writer):
        answer = {"id": request["id"]}
        try:
            await self.do(request)
        except (KeyError, ValueError) as error:
            answer["error"] = repr(error)
        writer.write(json.dumps(answer).encode() + b"\n")

    async def serve(self, reader, writer):
        waiting = set()
        while line := await reader.readline():
            task = asyncio.create_task(self.answer(json.loads(line), writer))
            waiting.add(task)
            task.add_done_callback(waiting.discard)


class Line:
    """A peer's line: orders in, news out."""

    def __init__(self):
        self.peer, self.writer = None, None

    def tell(self, **news):
        if self.writer:
            self.writer.write(json.dumps(news).encode() + b"\n")

    async def serve(self, reader, writer):
        self.writer = writer
        while line := await reader.readline():
            try:
                await self.peer.do(json.loads(line))
            except Exception:  # whatever it was, the next order may do
                logging.exception("not done: %s", line)
        self.writer = None


async def main(snoop, count):
    air = Air(Snoop(snoop))
    radios, lines = {}, []
    for index in range(int(count)):
        name = f"hci{index}"
        line = await open_unix_server_transport(name)
        lines.append(line)
        radios[name] = Radio(name, index, air, line.source, line.sink)
    await asyncio.start_unix_server(Control(radios).serve, "control")
    for index, (name, kind) in enumerate(PEERS.items(), start=len(radios)):
        line = Line()
        radios[name] = Radio(name, index, air)
        line.peer = kind(radios[name], line.tell)
        await line.peer.start()
        lines.append(line)
        await asyncio.start_unix_server(line.serve, name)
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
