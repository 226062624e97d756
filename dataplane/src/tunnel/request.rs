//! Pure: what the end that opens a flow asks of the other one.

use std::net::{Ipv4Addr, SocketAddrV4};

/// Longest pod name, in bytes: 63 of a namespace, a slash and 253 of a name.
pub const MAX_POD_NAME_LEN: usize = 317;

/// Bytes in front of the pod name.
const FIXED_LEN: usize = 14;

/// Longest request, in bytes.
pub const MAX_REQUEST_LEN: usize = FIXED_LEN + MAX_POD_NAME_LEN;

const EGRESS: u8 = 1;
const INGRESS: u8 = 2;
const PROBE: u8 = 3;
/// IANA's number, as in the IP header.
const TCP: u8 = 6;

/// What the end that opens a flow asks of the other one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OpenRequest {
    /// Forwarder to gateway: connect to the external server.
    Egress {
        /// Address that the external server shall see.
        source_ip: Ipv4Addr,
        /// Address and port of the external server.
        destination: SocketAddrV4,
        /// `namespace/name` of the pod, for the audit log.
        pod: String,
    },
    /// Gateway to forwarder: the external server connected.
    Ingress {
        /// Source IP and port that it dialled.
        listen: SocketAddrV4,
        /// Where it comes from.
        peer: SocketAddrV4,
    },
    /// Forwarder to gateway: connect to the external server, say how that went, and close.
    Probe {
        /// Address that the external server shall see.
        source_ip: Ipv4Addr,
        /// Address and port of the external server.
        destination: SocketAddrV4,
    },
}

/// Bytes that are no request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// Too short for its kind.
    #[error("open request of {0} bytes is cut short")]
    Short(usize),
    /// A kind that this version does not know.
    #[error("open request of unknown kind {0}")]
    Kind(u8),
    /// A transport protocol that this version does not carry.
    #[error("open request for unknown protocol {0}")]
    Protocol(u8),
    /// The length of the pod name is not what is left, or more than a name can have.
    #[error("open request with a pod name of {0} bytes")]
    NameLength(usize),
    /// The pod name is not printable ASCII.
    #[error("open request with an unprintable pod name")]
    Name,
}

impl OpenRequest {
    /// Appends the wire form: kind, protocol, two addresses with ports in network order, and the
    /// pod name as what is left. A name longer than [`MAX_POD_NAME_LEN`] is cut.
    pub fn write_to(&self, out: &mut Vec<u8>) {
        let (kind, first, second, pod) = match self {
            Self::Egress {
                source_ip,
                destination,
                pod,
            } => (
                EGRESS,
                SocketAddrV4::new(*source_ip, 0),
                destination,
                pod.as_str(),
            ),
            Self::Ingress { listen, peer } => (INGRESS, *listen, peer, ""),
            Self::Probe {
                source_ip,
                destination,
            } => (PROBE, SocketAddrV4::new(*source_ip, 0), destination, ""),
        };
        out.extend([kind, TCP]);
        for address in [&first, second] {
            out.extend(address.ip().octets());
            out.extend(address.port().to_be_bytes());
        }
        out.extend(pod.bytes().take(MAX_POD_NAME_LEN));
    }

    /// Reads what [`OpenRequest::write_to`] wrote.
    ///
    /// # Errors
    /// The bytes are no request of this version.
    pub fn parse(bytes: &[u8]) -> Result<Self, RequestError> {
        let Some((fixed, name)) = bytes.split_first_chunk::<FIXED_LEN>() else {
            return Err(RequestError::Short(bytes.len()));
        };
        let [kind, protocol, a, b, c, d, p, q, e, f, g, h, r, s] = *fixed;
        let first = SocketAddrV4::new(Ipv4Addr::new(a, b, c, d), u16::from_be_bytes([p, q]));
        let second = SocketAddrV4::new(Ipv4Addr::new(e, f, g, h), u16::from_be_bytes([r, s]));
        if protocol != TCP {
            return Err(RequestError::Protocol(protocol));
        }
        let name_allowed = if kind == EGRESS { MAX_POD_NAME_LEN } else { 0 };
        if name.len() > name_allowed {
            return Err(RequestError::NameLength(name.len()));
        }
        match kind {
            EGRESS => Ok(Self::Egress {
                source_ip: *first.ip(),
                destination: second,
                pod: pod_name(name)?,
            }),
            INGRESS => Ok(Self::Ingress {
                listen: first,
                peer: second,
            }),
            PROBE => Ok(Self::Probe {
                source_ip: *first.ip(),
                destination: second,
            }),
            unknown => Err(RequestError::Kind(unknown)),
        }
    }
}

/// A name that may go into a log line as it is.
fn pod_name(bytes: &[u8]) -> Result<String, RequestError> {
    if !bytes.iter().all(u8::is_ascii_graphic) {
        return Err(RequestError::Name);
    }
    String::from_utf8(bytes.to_vec()).map_err(|_| RequestError::Name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> SocketAddrV4 {
        text.parse().unwrap()
    }

    fn written(request: &OpenRequest) -> Vec<u8> {
        let mut bytes = Vec::new();
        request.write_to(&mut bytes);
        bytes
    }

    fn egress(pod: &str) -> OpenRequest {
        OpenRequest::Egress {
            source_ip: Ipv4Addr::new(192, 0, 2, 10),
            destination: address("203.0.113.7:8000"),
            pod: pod.to_owned(),
        }
    }

    #[test]
    fn every_request_survives_the_wire() {
        let ingress = OpenRequest::Ingress {
            listen: address("192.0.2.10:80"),
            peer: address("203.0.113.7:40000"),
        };
        let probe = OpenRequest::Probe {
            source_ip: Ipv4Addr::new(192, 0, 2, 10),
            destination: address("203.0.113.7:8000"),
        };
        for request in [egress("ns1/my-pod1"), egress(""), ingress, probe] {
            assert_eq!(OpenRequest::parse(&written(&request)), Ok(request));
        }
    }

    #[test]
    fn the_longest_request_fits_and_a_longer_name_is_cut() {
        let name = "a".repeat(MAX_POD_NAME_LEN + 1);
        let bytes = written(&egress(&name));
        assert_eq!(bytes.len(), MAX_REQUEST_LEN);
        let cut = egress(&name[1..]);
        assert_eq!(OpenRequest::parse(&bytes), Ok(cut));
    }

    #[test]
    fn every_prefix_of_a_request_without_a_name_is_refused() {
        let bytes = written(&egress(""));
        for len in 0..bytes.len() {
            assert_eq!(
                OpenRequest::parse(&bytes[..len]),
                Err(RequestError::Short(len))
            );
        }
    }

    #[test]
    fn what_no_version_wrote_is_refused_by_name() {
        let good = written(&egress("ns1/my-pod1"));
        let with = |at: usize, byte: u8| {
            let mut bytes = good.clone();
            bytes[at] = byte;
            OpenRequest::parse(&bytes)
        };
        assert_eq!(with(0, 9), Err(RequestError::NameLength(11)));
        assert_eq!(
            OpenRequest::parse(&[9, 6, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
            Err(RequestError::Kind(9))
        );
        assert_eq!(with(1, 17), Err(RequestError::Protocol(17)));
        assert_eq!(with(FIXED_LEN, b'\n'), Err(RequestError::Name));
        assert_eq!(with(FIXED_LEN, 0xff), Err(RequestError::Name));
        let mut long = good.clone();
        long.resize(MAX_REQUEST_LEN + 1, b'a');
        assert_eq!(
            OpenRequest::parse(&long),
            Err(RequestError::NameLength(MAX_POD_NAME_LEN + 1))
        );
    }
}
