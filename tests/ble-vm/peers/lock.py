"""A lock's radio by bumble's host: it advertises, serves the lock's service, hears what is written and notifies.

What to do comes in as JSON lines, what happens goes out as such. Nothing of a transaction is known here.
"""

from bumble import gatt, hci
from bumble.core import AdvertisingData
from bumble.device import AdvertisingType, Device
from bumble.host import Host
from bumble.transport.common import AsyncPipeSink

from service import SERVICE, TO_LOCK, TO_PHONE

# How often it advertises, ms.
INTERVAL = 100


class Lock:
    def __init__(self, radio, tell):
        self.device = Device(
            address=hci.Address("F0:DE:00:00:00:02"),
            host=Host(controller_source=radio, controller_sink=AsyncPipeSink(radio)),
        )
        properties = gatt.Characteristic.Properties
        to_lock = gatt.Characteristic(
            TO_LOCK,
            properties.WRITE | properties.WRITE_WITHOUT_RESPONSE,
            gatt.Characteristic.WRITEABLE,
            gatt.CharacteristicValue(write=self.written),
        )
        self.to_phone = gatt.Characteristic(TO_PHONE, properties.NOTIFY, gatt.Characteristic.READABLE, b"")
        self.device.add_service(gatt.Service(SERVICE, [to_lock, self.to_phone]))
        self.device.on(Device.EVENT_CONNECTION, self.connected)
        self.tell = tell
        self.wanted = None
        self.links = {}

    async def start(self):
        await self.device.power_on()

    async def do(self, order):
        match order["do"]:
            case "advertise":
                self.wanted = order["data"] and bytes.fromhex(order["data"])
                await self.advertise()
            case "notify":
                if link := self.links.get(order["link"]):
                    await self.device.notify_subscriber(link, self.to_phone, bytes.fromhex(order["value"]))
            case "close":
                if link := self.links.get(order["link"]):
                    await link.disconnect()
            case other:
                raise ValueError(f"a lock's radio does not {other}")

    async def advertise(self):
        await self.device.stop_advertising()
        if self.wanted is None:
            return
        kinds = AdvertisingData.Flags
        flags = (AdvertisingData.FLAGS, bytes([kinds.LE_GENERAL_DISCOVERABLE_MODE | kinds.BR_EDR_NOT_SUPPORTED]))
        service = (AdvertisingData.COMPLETE_LIST_OF_128_BIT_SERVICE_CLASS_UUIDS, bytes(SERVICE))
        data = (AdvertisingData.SERVICE_DATA_128_BIT_UUID, bytes(SERVICE) + self.wanted)
        await self.device.start_advertising(
            AdvertisingType.UNDIRECTED_CONNECTABLE_SCANNABLE,
            auto_restart=True,
            advertising_data=bytes(AdvertisingData([flags, service])),
            scan_response_data=bytes(AdvertisingData([data])),
            advertising_interval_min=INTERVAL,
            advertising_interval_max=INTERVAL,
        )

    def connected(self, link):
        self.links[link.handle] = link
        link.on("disconnection", lambda _: self.disconnected(link))

    def disconnected(self, link):
        if self.links.pop(link.handle, None):
            self.tell(say="closed", link=link.handle)

    def written(self, link, value):
        self.tell(say="value", link=link.handle, mtu=link.att_mtu, value=bytes(value).hex())
