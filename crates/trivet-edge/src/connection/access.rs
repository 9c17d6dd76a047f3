//! Whether the present request may have what its routes would give it.

use trivet_core::Problem;

use super::Connection;
use super::log::Record;

impl Connection {
    /// Ask the policies that the routes have named so far; asked again, they add nothing.
    pub(super) fn admit_by_policy(&mut self, record: &Record) -> Result<(), Problem> {
        let (routes, treatment) = (&self.settings.routes, &self.way.treatment);
        let lists = &self.settings.lists;
        if lists.permit(
            routes.allow(treatment),
            routes.deny(treatment),
            record.client,
        ) {
            Ok(())
        } else {
            Err(Problem::Forbidden)
        }
    }
}
