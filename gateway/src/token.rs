//! Pure: what a service account token says of itself, and when to renew it.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;

/// Longest life to ask for: the API server may give less.
pub const LONGEST_LIFE: Duration = Duration::from_secs(24 * 3600);

/// What is read from a token. It is not verified: the API server does that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claims {
    /// Namespace of the service account.
    pub namespace: String,
    /// Name of the service account.
    pub service_account: String,
    /// Start and end of its life, in seconds since 1970.
    pub life: Option<(i64, i64)>,
}

/// A text that is no token of a service account. The text itself is not in the message.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Not a JSON web token.
    #[error("it is no JSON web token")]
    Malformed,
    /// Somebody else's token.
    #[error("its subject {0:?} is no service account")]
    OtherSubject(String),
}

#[derive(Deserialize)]
struct Payload {
    sub: String,
    iat: Option<i64>,
    exp: Option<i64>,
}

/// Reads the claims of a token (RFC 7519, section 7.2, without the signature).
///
/// # Errors
/// It is no token of a service account: store one made with
/// `kubectl create token extconn-gateway`.
pub fn claims(token: &str) -> Result<Claims, TokenError> {
    let mut parts = token.trim().split('.');
    let (Some(_), Some(payload), Some(_), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(TokenError::Malformed);
    };
    let json = URL_SAFE_NO_PAD
        .decode(payload)
        .map_err(|_| TokenError::Malformed)?;
    let payload: Payload = serde_json::from_slice(&json).map_err(|_| TokenError::Malformed)?;
    let account = payload
        .sub
        .strip_prefix("system:serviceaccount:")
        .and_then(|account| account.split_once(':'));
    let Some((namespace, service_account)) = account else {
        return Err(TokenError::OtherSubject(payload.sub));
    };
    Ok(Claims {
        namespace: namespace.to_owned(),
        service_account: service_account.to_owned(),
        life: payload.iat.zip(payload.exp),
    })
}

/// Tolerance for a clock that is behind the API server's, in seconds.
const SKEW: i64 = 60;

/// How long to wait before a token is renewed, `now` being in seconds since 1970: until two
/// thirds of its life are over. A token without an end is replaced by one with an end at once, and
/// one that only begins in the future too: the clock is behind, and its end may be near.
pub fn renew_in(life: Option<(i64, i64)>, now: i64) -> Duration {
    let Some((start, end)) = life else {
        return Duration::ZERO;
    };
    if start.saturating_sub(now) > SKEW {
        return Duration::ZERO;
    }
    let due = start.saturating_add(end.saturating_sub(start).max(0) / 3 * 2);
    let wait = due.saturating_sub(now).max(0);
    Duration::from_secs(wait.unsigned_abs())
}

/// The life of a token that was made just now, by this host's clock: however wrong that is, it
/// runs as fast as the API server's.
pub fn life_by(now: i64, life: Option<(i64, i64)>) -> Option<(i64, i64)> {
    let (start, end) = life?;
    Some((now, now.saturating_add(end.saturating_sub(start).max(0))))
}

/// How long to wait after `failures` renewals failed in a row: 1 s, doubled up to 1 min.
pub fn retry_in(failures: u32) -> Duration {
    Duration::from_secs(2_u64.pow(failures.saturating_sub(1).min(6)).min(60))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 24 * 3600;
    const NOW: i64 = 1_800_000_000;

    #[test]
    fn a_token_is_renewed_after_two_thirds_of_its_life() {
        let check = |life: Option<(i64, i64)>, expect: i64| {
            assert_eq!(
                renew_in(life, NOW).as_secs(),
                u64::try_from(expect).unwrap()
            );
        };
        check(Some((NOW, NOW + DAY)), 16 * 3600);
        check(Some((NOW - 15 * 3600, NOW + 9 * 3600)), 3600);
        check(Some((NOW - 20 * 3600, NOW + 4 * 3600)), 0);
        check(Some((NOW - 2 * DAY, NOW - DAY)), 0);
        check(Some((NOW, NOW + 600)), 400);
        check(None, 0);
    }

    #[test]
    fn a_token_that_begins_in_the_future_is_renewed_at_once() {
        let life = |ahead| Some((NOW + ahead, NOW + ahead + DAY));
        assert_eq!(renew_in(life(3600), NOW), Duration::ZERO);
        assert_eq!(renew_in(life(10), NOW).as_secs(), 16 * 3600 + 10);
    }

    #[test]
    fn a_clock_that_is_wrong_does_not_renew_again_and_again() {
        for wrong in [-2 * DAY, 2 * DAY] {
            let here = NOW + wrong;
            let life = life_by(here, Some((NOW, NOW + DAY)));
            assert_eq!(renew_in(life, here).as_secs(), 16 * 3600);
            assert_eq!(renew_in(life, here + 16 * 3600), Duration::ZERO);
        }
    }

    #[test]
    fn nonsense_is_renewed_at_once() {
        assert_eq!(renew_in(Some((NOW, NOW - DAY)), NOW), Duration::ZERO);
        assert_eq!(renew_in(Some((i64::MAX, i64::MIN)), NOW), Duration::ZERO);
        assert_eq!(life_by(NOW, Some((i64::MAX, i64::MIN))), Some((NOW, NOW)));
        assert_eq!(life_by(NOW, None), None);
    }

    #[test]
    fn failures_are_retried_ever_more_slowly_up_to_a_minute() {
        let waits: Vec<_> = (1..=9).map(|n| retry_in(n).as_secs()).collect();
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
    }

    // {"alg":"RS256"} . {"sub":"system:serviceaccount:external-services:extconn-gateway",
    // "iat":1800000000,"exp":1800086400} . an empty signature
    const TOKEN: &str = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJzeXN0ZW06c2VydmljZWFjY291bnQ6ZXh0ZXJuYWwtc2VydmljZXM6ZXh0Y29ubi1nYXRld2F5IiwiaWF0IjoxODAwMDAwMDAwLCJleHAiOjE4MDAwODY0MDB9.";

    #[test]
    fn a_token_says_whose_it_is_and_how_long() {
        let claims = claims(&format!("{TOKEN}\n")).unwrap();
        assert_eq!(
            claims,
            Claims {
                namespace: "external-services".into(),
                service_account: "extconn-gateway".into(),
                life: Some((NOW, NOW + DAY)),
            }
        );
    }

    #[test]
    fn what_is_no_token_is_refused_without_being_shown() {
        for text in ["", "secret", "a.b", "a.b.c.d", "a.!.c", "a.e30.c"] {
            let error = claims(text).unwrap_err();
            assert_eq!(error, TokenError::Malformed, "{text}");
        }
        // {"sub":"admin"}
        let error = claims("a.eyJzdWIiOiJhZG1pbiJ9.c").unwrap_err();
        assert_eq!(error, TokenError::OtherSubject("admin".into()));
    }
}
