//! Whether the present request may have what its routes would give it.

use std::net::IpAddr;

use trivet_core::Problem;
use trivet_core::field::trim_ows;
use trivet_core::http1::KnownField;
use trivet_core::rate_limit::{Rate, Verdict, retry_after_s};

use super::Connection;
use super::log::Record;
use crate::limits::Asked;
use crate::routing::is_named;

impl Connection {
    /// Ask the policies that the routes have named so far; a request that is asked about again is
    /// not counted again.
    pub(super) fn admit_by_policy(&mut self, record: &mut Record) -> Result<(), Problem> {
        let settings = &self.settings;
        let (routes, treatment) = (&settings.routes, &self.way.treatment);
        let (allow, deny) = (routes.allow(treatment), routes.deny(treatment));
        if !settings.lists.permit(allow, deny, record.client) {
            return Err(Problem::Forbidden);
        }
        let is_counted = self.way.is_counted;
        if let Some(limit) = routes.rate_limit(treatment).filter(|_| !is_counted) {
            if let Verdict::Refused { wait_ns } = limit.judge(&self.asked(record)) {
                let seconds = u32::try_from(retry_after_s(wait_ns)).unwrap_or(u32::MAX);
                return Err(Problem::TooManyRequests(seconds));
            }
            self.way.is_counted = true;
        }
        if let Some(limit) = routes.concurrency(&self.way.treatment) {
            if record.permit.is_none() {
                let permit = limit.begin(&self.asked(record));
                record.permit = Some(permit.ok_or(Problem::TooManyAtOnce)?);
            }
        }
        Ok(())
    }

    /// What a client that asked too often is told of the rate: `RateLimit-Policy` and `RateLimit`
    /// (draft-ietf-httpapi-ratelimit-headers-10 sections 3 and 4).
    pub(super) fn rate_fields(&self, problem: Problem) -> Option<(String, String)> {
        let Problem::TooManyRequests(seconds) = problem else {
            return None;
        };
        let limit = self.settings.routes.rate_limit(&self.way.treatment)?;
        Some((limit.rate.policy_field(), Rate::refused_field(seconds)))
    }

    fn asked<'a>(&'a self, record: &'a Record) -> Present<'a> {
        Present {
            connection: self,
            client: record.client,
        }
    }
}

/// The present request.
struct Present<'a> {
    connection: &'a Connection,
    client: Option<IpAddr>,
}

impl Asked for Present<'_> {
    fn client(&self) -> Option<IpAddr> {
        self.client
    }

    fn field(&self, name: &str) -> Option<&[u8]> {
        let (head, buf) = (&self.connection.head, &self.connection.buf);
        let mut fields = head.fields.iter();
        let field = fields.find(|field| is_named(field, name, buf))?;
        Some(field.value.of(buf))
    }

    /// By the grammar of RFC 6265 section 4.2.1; the first cookie of that name counts.
    fn cookie(&self, name: &str) -> Option<&[u8]> {
        let (head, buf) = (&self.connection.head, &self.connection.buf);
        head.values(buf, KnownField::Cookie)
            .flat_map(|value| value.split(|&byte| byte == b';'))
            .find_map(|pair| {
                trim_ows(pair)
                    .strip_prefix(name.as_bytes())?
                    .strip_prefix(b"=")
            })
    }
}
