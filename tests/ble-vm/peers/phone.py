"""A phone's radio by bumble's host: it scans, connects, discovers, subscribes, writes and hears what is notified.

What to do comes in as JSON lines, what happens goes out as such. Nothing of a transaction is known here.
"""

import asyncio

from bumble import core, hci
from bumble.core import AdvertisingData
from bumble.device import Device, Peer

from host import device_at
from service import SERVICE, TO_LOCK, TO_PHONE

# The ATT MTU asked for; 517 is the most there is.
MTU = 517


class Phone:
    def __init__(self, radio, tell):
        self.device = device_at(radio)
        self.device.on(Device.EVENT_ADVERTISEMENT, self.heard)
        self.tell = tell
        self.addresses = {}
        self.links = {}

    async def start(self):
        await self.device.power_on()

    async def do(self, order):
        match order["do"]:
            case "scan":
                await self.device.start_scanning()
            case "stop":
                await self.device.stop_scanning()
            case "connect":
                link = self.links[order["peer"]] = Link(order["peer"], self.tell)
                link.task = asyncio.create_task(self.run(link))
            case "write":
                self.links[order["peer"]].writes.put_nowait(bytes.fromhex(order["value"]))
            case "disconnect":
                if link := self.links.get(order["peer"]):
                    link.task.cancel()
            case other:
                raise ValueError(f"a phone's radio does not {other}")

    def heard(self, advertisement):
        data, tx_power, ours = b"", None, False
        for kind, content in advertisement.data.ad_structures:
            match kind:
                case AdvertisingData.COMPLETE_LIST_OF_128_BIT_SERVICE_CLASS_UUIDS:
                    ours |= bytes(SERVICE) in content
                case AdvertisingData.SERVICE_DATA_128_BIT_UUID if content[:16] == bytes(SERVICE):
                    ours, data = True, content[16:]
                case AdvertisingData.TX_POWER_LEVEL:
                    tx_power = int.from_bytes(content, "little", signed=True)
        if ours:
            peer = str(advertisement.address)
            self.addresses[peer] = advertisement.address
            self.tell(say="heard", peer=peer, rssi=advertisement.rssi, tx_power=tx_power, data=data.hex())

    async def run(self, link):
        """Runs a link from the wish to connect to its end, which is always told."""
        connection, cause = None, "closed"
        try:
            connection = await self.device.connect(self.addresses[link.peer], timeout=10)
            connection.on("disconnection", lambda _: link.ended.set())
            await link.serve(connection)
            cause = "link-lost"
        except asyncio.CancelledError:
            pass
        except (core.BaseBumbleError, hci.HCI_Error, asyncio.TimeoutError):
            cause = "connect-failed"
        self.links.pop(link.peer, None)
        if connection is not None and not link.ended.is_set():
            try:
                await connection.disconnect()
            except (core.BaseBumbleError, hci.HCI_Error):
                pass  # it was gone already
        self.tell(say="disconnected", peer=link.peer, cause=cause)


class Link:
    def __init__(self, peer, tell):
        self.peer, self.tell = peer, tell
        self.writes = asyncio.Queue()
        self.ended = asyncio.Event()

    async def serve(self, connection):
        peer = Peer(connection)
        mtu = await peer.request_mtu(MTU)
        [service] = await peer.discover_service(SERVICE)
        await service.discover_characteristics()
        [to_lock] = service.get_characteristics_by_uuid(TO_LOCK)
        [to_phone] = service.get_characteristics_by_uuid(TO_PHONE)
        await to_phone.subscribe(lambda value: self.tell(say="value", peer=self.peer, value=bytes(value).hex()))
        self.tell(say="connected", peer=self.peer, mtu=mtu)
        writing = asyncio.create_task(self.write(to_lock))
        try:
            await self.ended.wait()
        finally:
            writing.cancel()

    async def write(self, to_lock):
        while True:
            await to_lock.write_value(await self.writes.get(), with_response=False)
