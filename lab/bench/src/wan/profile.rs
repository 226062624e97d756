//! Pure: what lies between the two ends, with units that people write.

use std::time::Duration;

/// The same each way.
#[derive(Clone, Debug, PartialEq, clap::Args)]
pub struct Profile {
    /// Time on the way, one way: half of the round trip. For example 25ms or 300us.
    #[arg(long, value_name = "TIME", default_value = "0ms", value_parser = duration)]
    pub delay: Duration,
    /// Bits of a second, for example 1gbit or 20mbit; unlimited if left out.
    #[arg(long, value_name = "RATE", value_parser = rate)]
    pub rate: Option<u64>,
    /// Packets that vanish, for example 0.1%.
    #[arg(long, value_name = "SHARE", default_value = "0%", value_parser = share)]
    pub loss: f64,
    /// Bytes that may wait for their turn at this rate; what comes then is dropped.
    #[arg(long, value_name = "BYTES", default_value_t = 8 * 1024 * 1024)]
    pub queue: u64,
    /// Decides which packets vanish; the same seed, the same packets.
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    pub seed: u64,
}

impl Profile {
    /// The options that say the same on a command line.
    pub fn arguments(&self) -> Vec<String> {
        let mut arguments = vec![
            "--delay".to_owned(),
            format!("{}us", self.delay.as_micros()),
            "--loss".to_owned(),
            format!("{}%", self.loss * 100.0),
            "--queue".to_owned(),
            self.queue.to_string(),
            "--seed".to_owned(),
            self.seed.to_string(),
        ];
        if let Some(rate) = self.rate {
            arguments.extend(["--rate".to_owned(), format!("{rate}bit")]);
        }
        arguments
    }

    /// Time that so many bytes take at this rate.
    pub fn time_on_the_wire(&self, bytes: u64) -> Duration {
        self.rate.map_or(Duration::ZERO, |rate| {
            Duration::from_nanos(bytes * 8 * 1_000_000_000 / rate.max(1))
        })
    }
}

/// A number and its unit.
fn number(text: &str) -> (Option<f64>, &str) {
    let begin = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (digits, unit) = text.split_at(begin);
    (digits.parse().ok(), unit)
}

fn duration(text: &str) -> Result<Duration, String> {
    let seconds = match number(text) {
        (Some(number), "us") => number / 1e6,
        (Some(number), "ms") => number / 1e3,
        (Some(number), "s") => number,
        _ => return Err("write a time such as 25ms, 300us or 1s".to_owned()),
    };
    Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())
}

fn rate(text: &str) -> Result<u64, String> {
    let factor = match number(text) {
        (Some(number), "bit") => number,
        (Some(number), "kbit") => number * 1e3,
        (Some(number), "mbit") => number * 1e6,
        (Some(number), "gbit") => number * 1e9,
        _ => 0.0,
    };
    if factor < 1.0 {
        return Err("write a rate above zero such as 20mbit or 1gbit".to_owned());
    }
    Ok(factor as u64)
}

fn share(text: &str) -> Result<f64, String> {
    match number(text) {
        (Some(number), "%") if number <= 100.0 => Ok(number / 100.0),
        _ => Err("write a share between 0% and 100%".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_those_that_people_write() {
        assert_eq!(duration("25ms"), Ok(Duration::from_millis(25)));
        assert_eq!(duration("0.5s"), Ok(Duration::from_millis(500)));
        assert_eq!(rate("1gbit"), Ok(1_000_000_000));
        assert_eq!(share("0.1%"), Ok(0.001));
        for text in ["", "25", "-1ms", "ms", "1e99s"] {
            duration(text).unwrap_err();
        }
        for text in ["0gbit", "fast", "10"] {
            rate(text).unwrap_err();
        }
        for text in ["101%", "0.5", "%"] {
            share(text).unwrap_err();
        }
    }

    #[test]
    fn a_full_packet_takes_12_microseconds_at_1_gigabit() {
        let profile = Profile {
            delay: Duration::ZERO,
            rate: Some(1_000_000_000),
            loss: 0.0,
            queue: 0,
            seed: 1,
        };
        assert_eq!(profile.time_on_the_wire(1500), Duration::from_micros(12));
        let unlimited = Profile {
            rate: None,
            ..profile
        };
        assert_eq!(unlimited.time_on_the_wire(1500), Duration::ZERO);
    }
}
