"""A record of what controllers and hosts said to one another, as Linux's monitor writes it (opens in Wireshark)."""

import struct
import time

# btsnoop's magic, its version, and the kind of file: the monitor's, which names the controller of each packet.
HEADER = b"btsnoop\0" + struct.pack(">II", 1, 2001)

# From the first day of year 0, where btsnoop's clock starts, to the first of 1970. Microseconds.
EPOCH = 0x00DCDDB30F2F8000

NEW_INDEX = 0
COMMAND, ACL, EVENT = 1, 2, 4  # kinds of packets on an H4 line
KINDS = {(COMMAND, False): 2, (EVENT, True): 3, (ACL, False): 4, (ACL, True): 5}


class Snoop:
    def __init__(self, path):
        self.file = open(path, "wb", buffering=0)
        self.file.write(HEADER)

    def index(self, index, name, address):
        """Tells of a new controller; `address` as it goes over the line."""
        self.write(index, NEW_INDEX, struct.pack("<BB6s8s", 0, 0, address[:6], name.encode()[:8]))

    def packet(self, index, packet, to_host):
        kind = KINDS.get((packet[0], to_host))
        if kind is not None:
            self.write(index, kind, packet[1:])

    def write(self, index, kind, content):
        size, now = len(content), time.time_ns() // 1000 + EPOCH
        self.file.write(struct.pack(">IIIIQ", size, size, index << 16 | kind, 0, now) + content)
