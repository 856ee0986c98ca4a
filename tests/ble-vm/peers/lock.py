"""A lock's radio by bumble's host: it advertises, serves the lock's service, hears what is written and notifies.

What to do comes in as JSON lines, what happens goes out as such. Nothing of a transaction is known here.
"""

import asyncio
import struct

from bumble import core, gatt, hci
from bumble.core import UUID, AdvertisingData
from bumble.device import AdvertisingType, Device

from host import device_at
from service import SERVICE, TO_LOCK, TO_PHONE

# How often it advertises, ms.
INTERVAL = 100

# The ATT MTU agreed to; 517 is the most there is.
MTU = 517

# What it advertises when it is to pass for something else.
ELSE = UUID("eeeeeeee-eeee-eeee-eeee-eeeeeeeeeeee")


class Lock:
    def __init__(self, radio, tell):
        self.radio, self.tell = radio, tell
        self.device = device_at(radio)
        self.links = {}
        self.says, self.refuses = None, False
        properties = gatt.Characteristic.Properties
        to_lock = gatt.Characteristic(
            TO_LOCK,
            properties.WRITE | properties.WRITE_WITHOUT_RESPONSE,
            gatt.Characteristic.WRITEABLE,
            gatt.CharacteristicValue(write=self.written),
        )
        self.to_phone = gatt.Characteristic(TO_PHONE, properties.NOTIFY, gatt.Characteristic.READABLE, b"")
        self.to_phone.on(gatt.Characteristic.EVENT_SUBSCRIPTION, self.subscribed)
        server = self.device.gatt_server
        self.without_service = list(server.attributes)
        self.device.add_service(gatt.Service(SERVICE, [to_lock, self.to_phone]))
        self.with_service = list(server.attributes)
        self.device.on(Device.EVENT_CONNECTION, self.connected)

    async def start(self):
        await self.device.power_on()

    async def do(self, order):
        match order["do"]:
            case "reset":
                await self.reset(order["places"])
            case "advertise":
                await self.advertise(order.get("service", True), order["data"], order.get("tx_power"))
            case "accept":
                self.serve(order.get("service", True), order.get("mtu", MTU))
                self.says, self.refuses = order.get("says"), False
                self.radio.places = 1
            case "refuse":
                self.refuses = True
                self.radio.places = 1
            case "notify":
                for link in self.meant(order):
                    await self.notify(link, order["value"])
            case "close":
                for link in self.meant(order):
                    await self.close(link)
            case other:
                raise ValueError(f"a lock's radio does not {other}")

    def meant(self, order):
        """The link that an order names, or whichever there is."""
        return [link for handle, link in self.links.items() if order.get("link", handle) == handle]

    async def reset(self, places):
        """Is silent and without a link, and takes so many of them from now on; `None` for as many as come."""
        self.radio.places = places
        await self.device.stop_advertising()
        for link in list(self.links.values()):
            await self.close(link)
        self.serve(True, MTU)
        self.says, self.refuses = None, False
        self.tell(say="silent", address=str(self.device.random_address).split("/")[0])

    async def advertise(self, ours, service_data, tx_power):
        await self.device.stop_advertising()
        service = bytes(SERVICE if ours else ELSE)
        kinds = AdvertisingData.Flags
        packet = [
            (AdvertisingData.FLAGS, bytes([kinds.LE_GENERAL_DISCOVERABLE_MODE | kinds.BR_EDR_NOT_SUPPORTED])),
            (AdvertisingData.COMPLETE_LIST_OF_128_BIT_SERVICE_CLASS_UUIDS, service),
        ]
        if tx_power is not None:
            packet.append((AdvertisingData.TX_POWER_LEVEL, struct.pack("b", tx_power)))
        response = []
        if service_data is not None:
            response.append((AdvertisingData.SERVICE_DATA_128_BIT_UUID, service + bytes.fromhex(service_data)))
        await self.device.start_advertising(
            AdvertisingType.UNDIRECTED_CONNECTABLE_SCANNABLE,
            auto_restart=True,
            advertising_data=bytes(AdvertisingData(packet)),
            scan_response_data=bytes(AdvertisingData(response)),
            advertising_interval_min=INTERVAL,
            advertising_interval_max=INTERVAL,
        )

    def serve(self, ours, mtu):
        server = self.device.gatt_server
        server.max_mtu = mtu
        server.attributes = list(self.with_service if ours else self.without_service)
        server.attributes_by_handle.clear()

    async def notify(self, link, value):
        await self.device.notify_subscriber(link, self.to_phone, bytes.fromhex(value))

    async def close(self, link):
        try:
            await link.disconnect()
        except (core.BaseBumbleError, hci.HCI_Error):
            pass  # it was gone already

    def connected(self, link):
        self.links[link.handle] = link
        link.on("disconnection", lambda _: self.disconnected(link))
        if self.refuses:
            # With the phone's first request: a link that ends in the moment it is made brings Linux 6.1 down.
            link.once(link.EVENT_CONNECTION_ATT_MTU_UPDATE, lambda: asyncio.create_task(self.close(link)))

    def disconnected(self, link):
        if self.links.pop(link.handle, None):
            self.tell(say="closed", link=link.handle)

    def subscribed(self, link, notify, _indicate):
        if notify and self.says is not None:
            asyncio.create_task(self.notify(link, self.says))

    def written(self, link, value):
        self.tell(say="value", link=link.handle, mtu=link.att_mtu, value=bytes(value).hex())
