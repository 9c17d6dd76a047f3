use proptest::prelude::*;

use super::*;

const RECORD: AccessRecord<'_> = AccessRecord {
    unix_us: 1_795_349_051_000_123,
    client: "192.0.2.7",
    client_port: 50_000,
    method: b"GET",
    target: b"/cart?id=7&token=s3cret",
    version: "HTTP/1.1",
    status: 200,
    bytes_in: 0,
    bytes_out: 1_234,
    duration_us: 41_800,
    queue_us: Some(2_100),
    app_us: Some(39_000),
    host: b"shop.test",
    scheme: "https",
    referer: b"https://shop.test/?code=1",
    user_agent: b"curl/8",
    request_id: "01932b",
    worker: Some(2),
    error: None,
    aborted: false,
};

/// What has no worker, no times, no fields and nothing but bad bytes.
const HOSTILE: AccessRecord<'_> = AccessRecord {
    method: b"GET",
    target: b"/\"\\\xff\x1b[2J\xc2\x9b",
    queue_us: None,
    app_us: None,
    host: b"",
    referer: b"",
    user_agent: b"a\" 200 0 \"\xe2\x80\xae",
    worker: None,
    status: 502,
    error: Some("app.worker_lost"),
    aborted: true,
    ..RECORD
};

fn line(format: AccessFormat, record: &AccessRecord<'_>) -> String {
    let mut out = Vec::new();
    write_line(format, record, &mut out);
    String::from_utf8(out).unwrap()
}

#[test]
fn combined_lines_are_apaches_with_times_and_id() {
    assert_eq!(
        line(AccessFormat::Combined, &RECORD),
        "192.0.2.7 - - [22/Nov/2026:12:04:11 +0000] \"GET /cart?id=7&token=*** HTTP/1.1\" 200 1234 \
         \"https://shop.test/?code=***\" \"curl/8\" 41800 2100 39000 01932b\n"
    );
    assert_eq!(
        line(AccessFormat::Combined, &HOSTILE),
        "192.0.2.7 - - [22/Nov/2026:12:04:11 +0000] \"GET /\\x22\\x5c\\xff\\x1b[2J\\xc2\\x9b HTTP/1.1\" \
         502 1234 \"-\" \"a\\x22 200 0 \\x22\\xe2\\x80\\xae\" 41800 - - 01932b\n"
    );
}

#[test]
fn json_lines_have_the_documented_keys() {
    assert_eq!(
        line(AccessFormat::Json, &RECORD),
        "{\"timestamp\":\"2026-11-22T12:04:11.000123Z\",\"level\":\"info\",\"event\":\"request\",\
         \"method\":\"GET\",\"path\":\"/cart\",\"query\":\"id=7&token=***\",\"status\":200,\
         \"duration_ms\":41.800,\"queue_ms\":2.100,\"app_ms\":39.000,\"bytes_in\":0,\"bytes_out\":1234,\
         \"client_ip\":\"192.0.2.7\",\"client_port\":50000,\"host\":\"shop.test\",\"scheme\":\"https\",\
         \"proto\":\"HTTP/1.1\",\"user_agent\":\"curl/8\",\"referer\":\"https://shop.test/?code=***\",\
         \"request_id\":\"01932b\",\"worker\":2}\n"
    );
    let value: serde_json::Value =
        serde_json::from_str(&line(AccessFormat::Json, &HOSTILE)).unwrap();
    assert_eq!(value["path"], "/\"\\\u{ff}\u{1b}[2J\u{9b}");
    assert_eq!(
        (&value["level"], &value["aborted"]),
        (&"error".into(), &true.into())
    );
    assert_eq!(value["error"], "app.worker_lost");
    assert!(value.get("worker").is_none() && value.get("queue_ms").is_none());
}

#[test]
fn logfmt_quotes_only_where_it_must() {
    let plain = line(AccessFormat::Logfmt, &RECORD);
    assert!(plain.starts_with("timestamp=2026-11-22T12:04:11.000123Z level=info event=request method=GET path=/cart query=\"id=7&token=***\" status=200 duration_ms=41.800 "));
    let hostile = line(AccessFormat::Logfmt, &HOSTILE);
    assert!(
        hostile.contains(" user_agent=\"a\\\" 200 0 \\\"\\u202e\" "),
        "{hostile}"
    );
}

#[test]
fn text_lines_stand_in_columns() {
    let text = AccessFormat::Text { colour: false };
    let record = AccessRecord {
        target: b"/",
        duration_us: 4_321,
        ..RECORD
    };
    assert_eq!(
        line(text, &record),
        "12:04:11  GET   /                           200     4 ms    1.2 KB\n"
    );
    let large = AccessRecord {
        bytes_out: 5_250_000_000,
        duration_us: 12_000_000,
        ..record
    };
    assert_eq!(
        line(text, &large),
        "12:04:11  GET   /                           200     12 s    5.2 GB\n"
    );
    assert_eq!(
        line(text, &HOSTILE),
        "12:04:11  GET   /\"\\\\\\xff\\u{1b}[2J\\u{9b}     502    42 ms    1.2 KB  edge  client left  \
         app.worker_lost  id 01932b\n"
    );
    let coloured = line(AccessFormat::Text { colour: true }, &record);
    assert!(coloured.contains("\x1b[32m200\x1b[0m "));
}

#[test]
fn the_level_tells_failures_from_the_rest() {
    let level = |status, aborted, error| {
        AccessRecord {
            status,
            error,
            aborted,
            ..RECORD
        }
        .level()
    };
    assert_eq!(level(200, false, None), "info");
    assert_eq!(level(404, false, Some("edge.not_found")), "info");
    assert_eq!(level(200, true, None), "warning");
    assert_eq!(level(500, true, None), "error");
    assert_eq!(level(200, false, Some("KeyError: 'x'")), "error");
}

proptest! {
    #[test]
    fn a_line_is_one_line_whatever_was_sent(
        method: Vec<u8>, target: Vec<u8>, host: Vec<u8>, referer: Vec<u8>, user_agent: Vec<u8>,
        client in ".*", request_id in ".*", error in ".*", numbers: [u64; 3], status: u16,
    ) {
        let record = AccessRecord {
            unix_us: numbers[0], client: &client, method: &method, target: &target,
            bytes_out: numbers[1], duration_us: numbers[2], host: &host, referer: &referer,
            user_agent: &user_agent, request_id: &request_id, error: Some(&error), status, ..RECORD
        };
        for format in [
            AccessFormat::Combined,
            AccessFormat::Json,
            AccessFormat::Logfmt,
            AccessFormat::Text { colour: false },
        ] {
            let line = line(format, &record);
            let (content, end) = line.split_at(line.len() - 1);
            prop_assert_eq!(end, "\n");
            prop_assert!(!content.chars().any(char::is_control), "{}", content.escape_debug());
        }
        let json = line(AccessFormat::Json, &record);
        prop_assert!(serde_json::from_str::<serde_json::Value>(&json).is_ok(), "{}", json);
        let combined = line(AccessFormat::Combined, &record);
        prop_assert_eq!(combined.matches('"').count(), 6);
    }
}
