//! Health probes: answered here, whatever the workers do.

use trivet_core::health::{self, Probe};

use super::log::Record;
use super::{After, Connection};

impl Connection {
    /// Answer a probe; its content, should there be any, ends the connection.
    pub(super) async fn answer_probe(&mut self, probe: Probe, mut record: Record) -> After {
        let method = self.head.method.of(&self.buf);
        let condition = self.settings.condition(self.shared.is_leaving());
        let answer = health::answer(probe, method, condition);
        record.status = answer.status;
        record.keep_alive &= !self.has_content();
        let mut fields: Vec<(&[u8], &[u8])> = vec![
            (b"Content-Type", b"application/json"),
            (b"Cache-Control", b"no-store"),
        ];
        if let Some(allow) = answer.allow {
            fields.push((b"Allow", allow.as_bytes()));
        }
        let content = answer.content.as_bytes();
        self.answer_by_itself(answer.reason_phrase(), &fields, content, &mut record)
            .await;
        if self.settings.config.health.log {
            self.log(&record);
        }
        self.after_head(&record)
    }
}
