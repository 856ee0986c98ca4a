//! What happens to the lock: the inputs of [`Reader::handle`](crate::Reader::handle).

use keybutton_protocol::ids::UnixTime;

use crate::env::{BoltEvent, DoorEvent};

/// Names a Bluetooth link, by the host's own handle. Two open links have different ones.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct LinkId(pub u16);

/// A device address as the controller reports it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Address(pub [u8; 6]);

/// Something that happened.
#[derive(Clone, Copy, Debug)]
pub enum Input<'a> {
    /// The time that the last [`Action::Deadline`](crate::Action::Deadline) named has come. Coming early or twice is
    /// harmless.
    Deadline,
    /// A phone has connected; `mtu` is the ATT MTU, 23 to 517 (23 until it is known).
    Connected {
        /// The new link.
        link: LinkId,
        /// The phone's address on this link.
        address: Address,
        /// The ATT MTU.
        mtu: u16,
    },
    /// The ATT MTU of a link has changed.
    MtuChanged {
        /// The link.
        link: LinkId,
        /// The ATT MTU.
        mtu: u16,
    },
    /// A phone has written one ATT value to the phone-to-lock characteristic.
    Received {
        /// The link.
        link: LinkId,
        /// The value.
        value: &'a [u8],
    },
    /// A link is gone.
    Disconnected {
        /// The link.
        link: LinkId,
    },
    /// A phone answers in the NFC field (ISO 14443-4 is activated).
    NfcArrived,
    /// The phone's answer to the last [`Action::Transmit`](crate::Action::Transmit), status word included.
    NfcResponse {
        /// The response APDU.
        apdu: &'a [u8],
    },
    /// The phone has left the NFC field, or stopped answering.
    NfcLost,
    /// A movement of the bolt has ended.
    Bolt(BoltEvent),
    /// The door's contact has changed.
    Door(DoorEvent),
    /// The battery's charge, percent; [`BATTERY_UNKNOWN`](crate::BATTERY_UNKNOWN) without a gauge.
    Battery {
        /// Percent.
        percent: u8,
    },
    /// Somebody inside turned privacy (the deadbolt button) on or off.
    Privacy {
        /// Whether it is on.
        on: bool,
    },
    /// A maintenance action. The host has made sure that it comes from the site.
    Maintenance(Maintenance),
}

/// A maintenance action. Phones can't do any of these.
#[derive(Clone, Copy, Debug)]
pub enum Maintenance {
    /// Sets the clock, also backwards.
    SetTime(UnixTime),
    /// Locks the door or the whole site down, or lifts it.
    Lockdown(Lockdown),
}

/// Whether members are kept out for now.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Lockdown {
    /// Nobody is.
    #[default]
    Off = 0,
    /// At this door.
    Door = 1,
    /// At the whole site.
    Site = 2,
}
