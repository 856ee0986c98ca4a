"""bumble's host, which is what peers have in place of BlueZ."""

from bumble import hci
from bumble.device import Device
from bumble.host import Host
from bumble.transport.common import AsyncPipeSink


def device_at(radio):
    """A device at this controller, under a static random address."""
    address = hci.Address(f"F0:DE:00:00:00:{radio.index + 1:02X}")
    return Device(address=address, host=Host(controller_source=radio, controller_sink=AsyncPipeSink(radio)))
