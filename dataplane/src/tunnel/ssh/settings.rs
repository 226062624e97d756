//! Pure: how ssh is spoken between forwarder and gateway. Both ends are ours, so each list is as
//! short as it can be and everything else is refused.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use russh::keys::Algorithm;
use russh::{
    Limits, MethodKind, MethodSet, Preferred, SshId, cipher, client, compression, kex, mac, server,
};

use crate::identity::PrivateKey;
use crate::tunnel::frame::MAX_PACKET_LEN;

/// The subsystem that carries flows. Another protocol gets another name.
pub const SUBSYSTEM: &str = "flows-v1@extconn.submariner.io";
/// The ssh user. Who somebody is, is the key's business.
pub const USER: &str = "extconn";

/// Time for everything between the TCP connection and the subsystem.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// Time between two signs of life that each end asks the other one for.
pub const PULSE: Duration = Duration::from_millis(500);
/// Signs of life that may be missing in a row: the path is taken for dead after 3.5 s.
pub const MISSED_PULSES: u32 = 6;
/// Time that sent bytes may stay unacknowledged.
pub const USER_TIMEOUT: Duration = Duration::from_secs(4);
/// Second net under the pulse: silence after which ssh itself asks.
const KEEPALIVE: Duration = Duration::from_secs(5);
const MISSED_KEEPALIVES: usize = 3;

/// Bytes that may be on their way in one connection: 1 Gbit/s at 250 ms, or twice as much at half.
const WINDOW: u32 = 32 * 1024 * 1024;
/// Payload of one ssh packet, which is one frame: as large as the library allows.
const PACKET: u32 = MAX_PACKET_LEN as u32;

const IDENTIFICATION: SshId = SshId::Standard(Cow::Borrowed("SSH-2.0-extconn"));

fn preferred() -> Preferred {
    Preferred {
        kex: Cow::Borrowed(&[
            kex::MLKEM768X25519_SHA256,
            kex::CURVE25519,
            kex::EXTENSION_OPENSSH_STRICT_KEX_AS_CLIENT,
            kex::EXTENSION_OPENSSH_STRICT_KEX_AS_SERVER,
        ]),
        key: Cow::Borrowed(&[Algorithm::Ed25519]),
        host_key_certificates: Cow::Borrowed(&[]),
        // A cipher that authenticates by itself and counts its packets: CVE-2023-48795 has no
        // hold on it even where strict key exchange were missing.
        cipher: Cow::Borrowed(&[cipher::AES_256_GCM]),
        // Agreed on and not used.
        mac: Cow::Borrowed(&[mac::HMAC_SHA256_ETM]),
        compression: Cow::Borrowed(&[compression::NONE]),
    }
}

/// How a forwarder speaks ssh. `rekey_after` is in bytes, at most 1 GiB.
pub(super) fn client_config(rekey_after: usize) -> Arc<client::Config> {
    Arc::new(client::Config {
        client_id: IDENTIFICATION,
        limits: limits(rekey_after),
        window_size: WINDOW,
        maximum_packet_size: PACKET,
        preferred: preferred(),
        inactivity_timeout: None,
        keepalive_interval: Some(KEEPALIVE),
        keepalive_max: MISSED_KEEPALIVES,
        nodelay: true,
        ..client::Config::default()
    })
}

/// How a gateway speaks ssh. `rekey_after` is in bytes, at most 1 GiB.
pub(super) fn server_config(host_key: &PrivateKey, rekey_after: usize) -> Arc<server::Config> {
    Arc::new(server::Config {
        server_id: IDENTIFICATION,
        methods: MethodSet::from(&[MethodKind::PublicKey][..]),
        auth_rejection_time: Duration::from_millis(100),
        auth_rejection_time_initial: Some(Duration::ZERO),
        keys: vec![host_key.for_ssh()],
        limits: limits(rekey_after),
        window_size: WINDOW,
        maximum_packet_size: PACKET,
        preferred: preferred(),
        max_auth_attempts: 3,
        inactivity_timeout: None,
        keepalive_interval: Some(KEEPALIVE),
        keepalive_max: MISSED_KEEPALIVES,
        nodelay: true,
        ..server::Config::default()
    })
}

/// Bytes after which keys are exchanged again, unless told otherwise (RFC 4253 section 9).
pub const REKEY_AFTER: usize = 1 << 30;

fn limits(rekey_after: usize) -> Limits {
    let bytes = rekey_after.min(REKEY_AFTER);
    Limits::new(bytes, bytes, Duration::from_secs(3600))
}
