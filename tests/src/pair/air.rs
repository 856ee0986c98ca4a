//! What the air between phones and locks does, and what went over it.

/// What the air does.
#[derive(Clone, Debug)]
pub struct Conditions {
    /// The ATT MTU.
    pub mtu: u16,
    /// How long a value is under way, microseconds.
    pub latency_us: u64,
    /// How many of a hundred packets are lost. Links send them again; advertisements are gone.
    pub loss_percent: u64,
    /// The link breaks in place of carrying this value, counted over both directions and all links of the world.
    pub cut_at_value: Option<usize>,
    /// The link breaks in place of carrying the last value of this message, counted alike.
    pub cut_at_message: Option<usize>,
    /// No link comes up again after the cut.
    pub cut_for_good: bool,
    /// So many links come up, and no more.
    pub links_at_most: Option<u16>,
    /// How long the bolt takes, microseconds.
    pub bolt_us: u64,
}

impl Default for Conditions {
    fn default() -> Self {
        Self {
            mtu: 185,
            latency_us: 7_500,
            loss_percent: 0,
            cut_at_value: None,
            cut_at_message: None,
            cut_for_good: false,
            links_at_most: None,
            bolt_us: 150_000,
        }
    }
}

/// A direction of a link.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Direction {
    /// The phone speaks.
    ToLock,
    /// The lock speaks.
    ToPhone,
}

/// Changes whole messages on their way; gets the direction and how many came before, counted over both.
pub type MessageTamper = Box<dyn FnMut(Direction, usize, &mut Vec<u8>)>;
/// Changes ATT values on their way.
pub type ValueTamper = Box<dyn FnMut(Direction, usize, &mut Vec<u8>)>;

/// What went over the air.
#[derive(Clone, Debug, Default)]
pub struct Traffic {
    /// Whole messages, in order.
    pub messages: Vec<(Direction, Vec<u8>)>,
    /// ATT values.
    pub values: usize,
    /// The messages that had passed when the first verdict was given.
    pub at_verdict: Option<usize>,
}

impl Traffic {
    /// The bytes of all messages, their headers included.
    pub fn bytes(&self) -> usize {
        self.messages.iter().map(|(_, message)| message.len()).sum()
    }

    /// The lock's commands that were answered before its verdict left: round trips to the verdict.
    pub fn round_trips(&self) -> usize {
        let until = self.at_verdict.unwrap_or(self.messages.len());
        self.messages[..until].iter().filter(|(direction, _)| *direction == Direction::ToPhone).count()
    }
}
