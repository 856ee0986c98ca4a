"""Virtual Bluetooth controllers that hear one another: bumble's, with what a real host needs of them besides.

bumble's controllers are made for bumble's own host. Linux uses more of a controller; what it uses and bumble 0.0.236
leaves out, or does in a way that Linux cannot live with, is done here.
"""

import asyncio
import dataclasses
import logging

from bumble import hci, ll
from bumble.controller import Connection, Controller, LegacyAdvertiser
from bumble.core import PhysicalTransport
from bumble.link import LocalLink

# What a controller measures of another one next to it, unless told otherwise. dBm.
NEAR = -50

# How long a link that carries nothing lasts, in units of 10 ms, where a host asks for none: Linux asks for 0.42 s.
SUPERVISION = 42

ATT = 4
VALUES = (0x52, 0x1B, 0x23)  # a write command and two kinds of notification: what a transaction is made of
ADV_IND, ADV_SCAN_IND, ADV_NONCONN_IND = 0, 2, 3  # types of advertising
ACTIVE = 1  # the type of scan that asks for scan responses
REPORT = hci.HCI_LE_Advertising_Report_Event.EventType
REPORTS = {ADV_IND: REPORT.ADV_IND, ADV_SCAN_IND: REPORT.ADV_SCAN_IND, ADV_NONCONN_IND: REPORT.ADV_NONCONN_IND}


@dataclasses.dataclass
class Packet(ll.AdvertisingPdu):
    """One advertisement, with what its sender answers to a scan request."""

    sender: "Radio"
    address: hci.Address
    kind: int
    data: bytes
    scan_response: bytes


class Air(LocalLink):
    """What lies between the controllers: who is in range, and how loud."""

    def __init__(self, log=None):
        super().__init__()
        self.log = log

    def send_advertising_pdu(self, sender, packet):
        if sender.is_heard:
            for radio in self.controllers:
                if radio is not sender and radio.is_heard:
                    soon(radio.hear, packet)

    def send_acl_data(self, sender, destination, transport, data):
        link = sender.le_connections.get(destination)
        receiver = self.find_le_controller(destination)
        if link is None or receiver is None:
            return
        if len(data) > 4 and data[2] == ATT and data[4] in VALUES:
            sender.count_value(link)
            receiver.count_value(receiver.le_connections.get(link.self_address))
        if sender.is_heard and receiver.is_heard:
            soon(receiver.on_link_acl_data, link.self_address, transport, data)

    def send_ll_control_pdu(self, sender_address, receiver_address, packet):
        sender, receiver = self.find_le_controller(sender_address), self.find_le_controller(receiver_address)
        if sender and receiver and sender.is_heard and receiver.is_heard:
            soon(receiver.on_ll_control_pdu, sender_address, packet)


class Advertiser(LegacyAdvertiser):
    """Advertises at the interval that was asked for, which HCI counts in 0.625 ms, and every type of packet."""

    def _on_timer_fired(self):
        self.send_advertising_data()
        interval = max(self.advertising_interval_min, 32) * 0.000625
        self.timer_handle = asyncio.get_running_loop().call_later(interval, self._on_timer_fired)

    def send_advertising_data(self):
        if self.enabled and self.advertising_type in REPORTS:
            packet = Packet(
                self.controller, self.address, self.advertising_type, self.advertising_data, self.scan_response_data
            )
            self.controller.send_advertising_pdu(packet)


class Radio(Controller):
    """A plain radio of Bluetooth 4.2, as far as hosts can tell."""

    # With LL privacy or extended advertising claimed Linux waits for the enhanced report of a connection, and bumble
    # sends the plain one: connecting costs four seconds, and then the link cannot be dropped.
    le_features = Controller.le_features & ~(
        hci.LeFeatureMask.LL_PRIVACY
        | hci.LeFeatureMask.LE_EXTENDED_ADVERTISING
        | hci.LeFeatureMask.LE_PERIODIC_ADVERTISING
        | hci.LeFeatureMask.LE_CODED_PHY
        | hci.LeFeatureMask.LE_2M_PHY
    )

    # The longest packet there is, as radios have it since 4.2.
    le_acl_data_packet_length = 251
    supported_max_tx_octets = supported_max_rx_octets = suggested_max_tx_octets = 251

    def __init__(self, name, index, air, source=None, sink=None):
        self.index = index
        self.log = air.log
        self.signal = NEAR
        self.is_heard = True
        self.cut_after = None
        self.places = None  # for so many more links; for as many as come
        self.waiting = []
        address = f"C0:DE:00:00:00:{index + 1:02X}"
        super().__init__(name, host_source=source, host_sink=sink, link=air, public_address=address)
        self.le_legacy_advertiser = Advertiser(self)
        if self.log:
            self.log.index(index, name, bytes(self.public_address))

    # What a test does to it.

    def set_heard(self, heard):
        """Takes the radio out of everybody's range, or brings it back. Links do not last without it."""
        self.is_heard = heard
        self.cut_after = None
        for link in list(self.le_connections.values()):
            link.cut_after = None
            if not heard:
                self.let_die(link)
        self.changed()

    def cut_links_after(self, values):
        """From now on takes the radio out of range in place of the value that comes after so many on a new link."""
        self.cut_after = values

    def count_value(self, link):
        if link is None:
            return
        link.values += 1
        if link.cut_after is not None and link.values > link.cut_after:
            self.set_heard(False)

    def changed(self):
        """Tells those who wait for a change."""
        waiting, self.waiting = self.waiting, []
        for waiter in waiting:
            if not waiter.done():
                waiter.set_result(None)

    async def change(self):
        waiter = asyncio.get_running_loop().create_future()
        self.waiting.append(waiter)
        await waiter

    def let_die(self, link):
        peer = self.link.find_le_controller(link.peer_address)
        other = peer.le_connections.get(link.self_address) if peer else None
        for radio, end in ((self, link), (peer, other)):
            if end is not None:
                asyncio.get_running_loop().call_later(end.supervision * 0.01, radio.lose, end)

    def lose(self, link):
        if self.le_connections.get(link.peer_address) is link:
            self.on_le_disconnected(link, hci.HCI_ErrorCode.CONNECTION_TIMEOUT_ERROR)

    def on_le_disconnected(self, connection, reason):
        super().on_le_disconnected(connection, reason)
        self.changed()

    # Packets to and from the host.

    def on_packet(self, packet):
        if self.log:
            self.log.packet(self.index, packet, to_host=False)
        try:
            super().on_packet(packet)
        except Exception:  # as a controller that met a fault of its own: it goes on
            logging.exception("%s: a packet of the host's was not understood", self.name)

    def send_hci_packet(self, packet):
        packet = bytes(packet)
        if self.log:
            self.log.packet(self.index, packet, to_host=True)
        if self.host:
            soon(self.host.on_packet, packet)

    # Scanning.

    def hear(self, packet):
        if self.le_scan_enable:
            self.report(REPORTS[packet.kind], packet, packet.data)
            if self.le_scan_type == ACTIVE and packet.kind != ADV_NONCONN_IND:
                self.report(REPORT.SCAN_RSP, packet, packet.scan_response)
        wanted = self.pending_le_connection
        if wanted and wanted.peer_address == packet.address and packet.kind == ADV_IND:
            self.connect(packet.sender, wanted)

    def report(self, kind, packet, data):
        report = hci.HCI_LE_Advertising_Report_Event.Report(
            event_type=kind,
            address_type=packet.address.address_type,
            address=packet.address,
            data=data,
            rssi=packet.sender.signal,
        )
        self.send_hci_packet(hci.HCI_LE_Advertising_Report_Event([report]))

    # Connecting.

    def connect(self, other, wanted):
        """Makes both ends of a link, unless the other one takes none or has been taken a moment ago."""
        if not other.le_legacy_advertiser.enabled or wanted.peer_address in self.le_connections:
            return
        if other.places is not None:
            if other.places == 0:
                return
            other.places -= 1
        self.pending_le_connection = None
        public = wanted.own_address_type == hci.OwnAddressType.PUBLIC
        own, peer = self.public_address if public else self.random_address, other.le_legacy_advertiser.address
        terms = (wanted.connection_interval_min, wanted.max_latency, wanted.supervision_timeout or SUPERVISION)
        other.le_legacy_advertiser.stop()
        other.link_is_up(hci.Role.PERIPHERAL, peer, own, terms)
        self.link_is_up(hci.Role.CENTRAL, own, peer, terms)

    def link_is_up(self, role, own, peer, terms):
        interval, latency, supervision = terms
        kind = hci.HCI_Connection_Complete_Event.LinkType.ACL
        handle = self.allocate_connection_handle()
        link = Connection(self, handle, role, own, peer, self.link, PhysicalTransport.LE, kind)
        link.supervision, link.values, link.cut_after = supervision, 0, self.cut_after
        self.le_connections[peer] = link
        self.changed()
        self.send_hci_packet(
            hci.HCI_LE_Connection_Complete_Event(
                status=hci.HCI_ErrorCode.SUCCESS,
                connection_handle=handle,
                role=role,
                peer_address_type=peer.address_type,
                peer_address=peer,
                connection_interval=interval,
                peripheral_latency=latency,
                supervision_timeout=supervision,
                central_clock_accuracy=0,
            )
        )

    def on_hci_le_create_connection_cancel_command(self, command):
        wanted, self.pending_le_connection = self.pending_le_connection, None
        if wanted is None:
            return hci.HCI_StatusReturnParameters(hci.HCI_ErrorCode.COMMAND_DISALLOWED_ERROR)
        # After the answer to the command.
        soon(
            self.send_hci_packet,
            hci.HCI_LE_Connection_Complete_Event(
                status=hci.HCI_ErrorCode.UNKNOWN_CONNECTION_IDENTIFIER_ERROR,
                connection_handle=0,
                role=hci.Role.CENTRAL,
                peer_address_type=wanted.peer_address.address_type,
                peer_address=wanted.peer_address,
                connection_interval=0,
                peripheral_latency=0,
                supervision_timeout=0,
                central_clock_accuracy=0,
            ),
        )
        return hci.HCI_StatusReturnParameters(hci.HCI_ErrorCode.SUCCESS)

    def on_hci_reset_command(self, command):
        """Forgets everything; the other ends notice by themselves."""
        self.le_legacy_advertiser.stop()
        self.le_scan_enable = False
        self.pending_le_connection = None
        for link in list(self.le_connections.values()):
            self.let_die(link)
        self.le_connections.clear()
        return super().on_hci_reset_command(command)


def soon(call, *arguments):
    asyncio.get_running_loop().call_soon(call, *arguments)
