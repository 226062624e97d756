//! Pure: for which namespaces a source IP is reserved: `--reserve IP=NAMESPACE,…`.

use std::net::Ipv4Addr;

use super::host_files::HostFile;
use crate::expose::request;
use crate::failure::Failure;

/// One `--reserve`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reservation {
    ip: Ipv4Addr,
    /// The only namespaces that may use it; all if empty.
    namespaces: Vec<String>,
}

/// Reads `IP=NAMESPACE,…`; `IP=` opens the address to all again.
///
/// # Errors
/// A sentence with an example.
pub(crate) fn parse(text: &str) -> Result<Reservation, String> {
    let (ip, namespaces) = text
        .split_once('=')
        .ok_or_else(|| format!("{text:?} reserves nothing: write 192.0.2.10=NAMESPACE"))?;
    let namespaces: Vec<String> = namespaces
        .split(',')
        .filter(|name| !name.is_empty())
        .map(str::to_owned)
        .collect();
    for name in &namespaces {
        super::questions::namespace(name)?;
    }
    Ok(Reservation {
        ip: request::address(ip)?,
        namespaces,
    })
}

/// Writes reservations into the host file; what they do not speak of stays as it is.
///
/// # Errors
/// One is of an address that is no source IP there.
pub(crate) fn reserve(file: &mut HostFile, reservations: &[Reservation]) -> Result<(), Failure> {
    for Reservation { ip, namespaces } in reservations {
        let mut source_ips = file.source_ips.iter_mut();
        let Some(source) = source_ips.find(|source| source.ip == *ip) else {
            return Err(Failure::usage(format!(
                "--reserve {ip}: it is none of the source IPs of this gateway host"
            ))
            .next(format!("add --source-ip {ip}, beside the others")));
        };
        source.namespaces = (!namespaces.is_empty()).then(|| namespaces.clone());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reservation_replaces_what_was_reserved_and_an_empty_one_lifts_it() {
        let mut file = HostFile::parse(
            "{sshEndpoint: '192.0.2.1:2022', sourceIPs: [{ip: 192.0.2.10, namespaces: [bank]}, {ip: 192.0.2.11}]}",
        )
        .unwrap();
        let reservations = ["192.0.2.10=", "192.0.2.11=shop,on"].map(|text| parse(text).unwrap());
        reserve(&mut file, &reservations).unwrap();
        assert_eq!(file.source_ips[0].namespaces, None);
        let expected = ["shop", "on"].map(str::to_owned).to_vec();
        assert_eq!(file.source_ips[1].namespaces, Some(expected));
        let absent = [parse("192.0.2.12=shop").unwrap()];
        let refusal = reserve(&mut file, &absent).unwrap_err();
        assert!(refusal.message().contains("192.0.2.12"));
    }

    #[test]
    fn nonsense_is_refused_with_an_example() {
        for wrong in ["192.0.2.10", "192.0.2.256=a", "192.0.2.10=A", "=a"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
