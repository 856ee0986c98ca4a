//! The knobs of the air as options.

use std::time::Duration;

use clap::{Args, ValueEnum};
use keybutton::radio::air::{Cut, Direction, Knobs, Manner, Position};

/// How a participant's radio and links behave. What is not given stays as it is.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Air")]
pub struct KnobArgs {
    /// Advertising interval, such as 30ms.
    #[arg(long, value_name = "TIME", value_parser = time)]
    advertising_interval: Option<Duration>,
    /// Transmit power, dBm.
    #[arg(long, value_name = "DBM", allow_negative_numbers = true)]
    tx_power: Option<i8>,
    /// Connection interval, such as 15ms.
    #[arg(long, value_name = "TIME", value_parser = time)]
    connection_interval: Option<Duration>,
    /// Connection events from connecting to a subscribed link.
    #[arg(long, value_name = "COUNT")]
    setup_events: Option<u8>,
    /// ATT values in one connection event and direction.
    #[arg(long, value_name = "COUNT")]
    values_per_event: Option<u8>,
    /// ATT MTU, 23 to 517.
    #[arg(long, value_name = "BYTES", value_parser = clap::value_parser!(u16).range(23..=517))]
    mtu: Option<u16>,
    /// Added to the way of every value.
    #[arg(long, value_name = "TIME", value_parser = time)]
    latency: Option<Duration>,
    /// Share of packets lost and sent again, 0 to 1.
    #[arg(long, value_name = "SHARE", value_parser = share)]
    loss: Option<f32>,
    /// Silence after which a link counts as lost.
    #[arg(long, value_name = "TIME", value_parser = time)]
    supervision_timeout: Option<Duration>,
    /// Cut links after so many values.
    #[arg(long, value_name = "VALUES")]
    cut_after: Option<u32>,
    /// The direction in which --cut-after counts.
    #[arg(long, value_enum, default_value = "to-phone", requires = "cut_after")]
    cut_direction: DirectionArg,
    /// Cut so that nobody notices before the supervision time-out.
    #[arg(long, requires = "cut_after")]
    cut_silently: bool,
    /// Cut only so many links.
    #[arg(long, value_name = "COUNT", requires = "cut_after")]
    cut_links: Option<u32>,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum DirectionArg {
    ToLock,
    #[default]
    ToPhone,
}

impl KnobArgs {
    /// The knobs that `base` becomes.
    pub fn apply(&self, base: Knobs) -> Knobs {
        let cut = self.cut_after.map(|after| Cut {
            direction: match self.cut_direction {
                DirectionArg::ToLock => Direction::ToLock,
                DirectionArg::ToPhone => Direction::ToPhone,
            },
            after,
            manner: if self.cut_silently { Manner::Silent } else { Manner::Drop },
            links: self.cut_links,
        });
        Knobs {
            advertising_interval: self.advertising_interval.unwrap_or(base.advertising_interval),
            tx_power: self.tx_power.unwrap_or(base.tx_power),
            connection_interval: self.connection_interval.unwrap_or(base.connection_interval),
            setup_events: self.setup_events.unwrap_or(base.setup_events),
            values_per_event: self.values_per_event.unwrap_or(base.values_per_event),
            mtu: self.mtu.unwrap_or(base.mtu),
            latency: self.latency.unwrap_or(base.latency),
            loss: self.loss.unwrap_or(base.loss),
            supervision_timeout: self.supervision_timeout.unwrap_or(base.supervision_timeout),
            cut: cut.or(base.cut),
            ..base
        }
    }
}

/// Reads a time such as `15ms`, `1.5s` or `250us`.
pub fn time(text: &str) -> Result<Duration, String> {
    let (number, scale) = [("us", 1e-6), ("ms", 1e-3), ("s", 1.0)]
        .into_iter()
        .find_map(|(unit, scale)| text.strip_suffix(unit).map(|number| (number, scale)))
        .ok_or("a time needs a unit: us, ms or s")?;
    let number: f64 = number.trim().parse().map_err(|_| "not a number")?;
    Duration::try_from_secs_f64(number * scale).map_err(|error| error.to_string())
}

/// Reads a place such as `2,0.5`.
pub fn place(text: &str) -> Result<Position, String> {
    let (x, y) = text.split_once(',').ok_or("a place is two numbers of metres, such as 2,0.5")?;
    let number = |text: &str| text.trim().parse::<f32>().ok().filter(|n| n.is_finite()).ok_or("not a number");
    Ok(Position { x: number(x)?, y: number(y)? })
}

fn share(text: &str) -> Result<f32, String> {
    text.parse().ok().filter(|share| (0.0..=1.0).contains(share)).ok_or_else(|| "between 0 and 1".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_places_read_as_written() {
        assert_eq!(time("15ms"), Ok(Duration::from_millis(15)));
        assert_eq!(time("1.5s"), Ok(Duration::from_millis(1_500)));
        assert_eq!(time("7.5 ms"), Ok(Duration::from_micros(7_500)));
        for text in ["15", "ms", "-1s", "NaNs", "1e99s"] {
            assert!(time(text).is_err(), "{text}");
        }
        assert_eq!(place("2, -0.5"), Ok(Position { x: 2.0, y: -0.5 }));
        assert!(place("2").is_err() && place("inf,0").is_err());
    }
}
