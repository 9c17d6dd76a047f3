//! The page that lists a folder: for people, and as JSON for programs.

use crate::http_date;
use crate::problem::{PageFormat, escape_html, escape_json};

/// A name in a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The name, in UTF-8.
    pub name: String,
    /// Whether it is a folder.
    pub is_folder: bool,
    /// Bytes; 0 for a folder.
    pub length: u64,
    /// Seconds since 1970.
    pub modified_s: u64,
}

const STYLE: &str = ":root{color-scheme:light dark}\
body{font:1rem/1.5 system-ui,sans-serif;max-width:60rem;margin:4vh auto;padding:0 1.5rem}\
h1{font-size:1.3rem;font-weight:600;overflow-wrap:anywhere}\
table{border-collapse:collapse;width:100%}\
th{font-weight:600;text-align:left}th,td{padding:.3rem .8rem .3rem 0;border-bottom:1px solid #8884}\
td:first-child{overflow-wrap:anywhere}\
.n{text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums}\
a{text-decoration:none}a:hover,a:focus{text-decoration:underline}p{opacity:.7}";

/// The content type and body of the listing of the folder at `path`, which is decoded and ends
/// with a slash. `is_cut` says that there are more names than `entries`.
///
/// Every name is escaped, and percent-encoded in its link: nothing that a file is called can
/// become markup or lead elsewhere.
pub fn page(
    path: &[u8],
    entries: &[Entry],
    is_cut: bool,
    format: PageFormat,
) -> (&'static str, Vec<u8>) {
    let mut out = String::with_capacity(1024 + 160 * entries.len());
    match format {
        PageFormat::Html => {
            write_html(&String::from_utf8_lossy(path), entries, is_cut, &mut out);
            ("text/html; charset=utf-8", out.into_bytes())
        }
        PageFormat::Json => {
            write_json(entries, is_cut, &mut out);
            ("application/json", out.into_bytes())
        }
    }
}

fn write_html(path: &str, entries: &[Entry], is_cut: bool, out: &mut String) {
    out.push_str("<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">");
    out.push_str("<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\"><title>");
    escape_html(path, out);
    out.push_str("</title><style>");
    out.push_str(STYLE);
    out.push_str("</style></head><body><main><h1>");
    escape_html(path, out);
    out.push_str(
        "</h1><table><thead><tr><th>Name<th class=n>Size<th class=n>Changed</thead><tbody>\n",
    );
    if path != "/" {
        out.push_str("<tr><td><a href=\"../\">../</a><td class=n><td class=n>\n");
    }
    for entry in entries {
        let slash = if entry.is_folder { "/" } else { "" };
        // `./` keeps a name with a colon from being read as a scheme.
        out.push_str("<tr><td><a href=\"./");
        encode(&entry.name, out);
        out.push_str(slash);
        out.push_str("\">");
        escape_html(&entry.name, out);
        out.push_str(slash);
        out.push_str("</a><td class=n>");
        if !entry.is_folder {
            out.push_str(&size(entry.length));
        }
        out.push_str("<td class=n>");
        out.push_str(&http_date::format_iso(entry.modified_s));
        out.push('\n');
    }
    out.push_str("</tbody></table>");
    if is_cut {
        out.push_str("<p>There are more names than these.</p>");
    }
    out.push_str("</main></body></html>\n");
}

fn write_json(entries: &[Entry], is_cut: bool, out: &mut String) {
    out.push_str("{\"entries\":[");
    for (at, entry) in entries.iter().enumerate() {
        if at > 0 {
            out.push(',');
        }
        out.push_str("{\"name\":\"");
        escape_json(&entry.name, out);
        out.push_str(if entry.is_folder {
            "\",\"type\":\"folder\""
        } else {
            "\",\"type\":\"file\",\"size\":"
        });
        if !entry.is_folder {
            out.push_str(&entry.length.to_string());
        }
        out.push_str(",\"modified\":\"");
        out.push_str(&http_date::format_iso(entry.modified_s));
        out.push_str("\"}");
    }
    out.push_str("],\"complete\":");
    out.push_str(if is_cut { "false" } else { "true" });
    out.push_str("}\n");
}

/// A name in a relative reference (RFC 3986 section 3.3).
fn encode(name: &str, out: &mut String) {
    for &byte in name.as_bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
            out.push('%');
            for digit in [byte >> 4, byte & 15] {
                out.push(char::from(DIGITS[usize::from(digit)]));
            }
        }
    }
}

/// `812 B`, `1.4 KiB`, `23 MiB`: two digits that matter.
fn size(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut tenths = u128::from(bytes) * 10 / 1024;
    let mut unit = 0;
    while tenths >= 10_240 && unit + 1 < UNITS.len() {
        tenths /= 1024;
        unit += 1;
    }
    let name = UNITS.get(unit).copied().unwrap_or_default();
    if tenths < 100 {
        format!("{}.{} {name}", tenths / 10, tenths % 10)
    } else {
        format!("{} {name}", tenths / 10)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(name: &str, is_folder: bool) -> Entry {
        Entry {
            name: name.to_owned(),
            is_folder,
            length: 1500,
            modified_s: 1_700_000_000,
        }
    }

    fn html(name: &str, is_folder: bool) -> String {
        let (_, page) = page(b"/a/", &[entry(name, is_folder)], false, PageFormat::Html);
        String::from_utf8(page).unwrap()
    }

    #[test]
    fn a_name_is_a_link_with_size_and_time() {
        let page = html("read me.txt", false);
        assert!(page.contains(
            "<a href=\"./read%20me.txt\">read me.txt</a><td class=n>1.4 KiB<td class=n>2023-11-14T22:13:20Z"
        ));
        assert!(html("sub", true).contains("<a href=\"./sub/\">sub/</a><td class=n><td"));
    }

    #[test]
    fn no_name_becomes_markup_or_leads_elsewhere() {
        let page = html("<script>\"'&.js", false);
        assert!(page.contains("href=\"./%3Cscript%3E%22%27%26.js\""));
        assert!(page.contains("&lt;script&gt;&quot;&#39;&amp;.js"));
        assert!(
            html("javascript:alert(1)", false).contains("href=\"./javascript%3Aalert%281%29\"")
        );
        let (_, page) = super::page(b"/<b>/", &[], false, PageFormat::Html);
        assert!(!String::from_utf8(page).unwrap().contains("<b>"));
    }

    #[test]
    fn programs_get_json() {
        let entries = [entry("a\"b", false), entry("sub", true)];
        let (content_type, content) = page(b"/", &entries, true, PageFormat::Json);
        assert_eq!(content_type, "application/json");
        let value: serde_json::Value = serde_json::from_slice(&content).unwrap();
        assert_eq!(value["entries"][0]["name"], "a\"b");
        assert_eq!(value["entries"][0]["size"], 1500);
        assert_eq!(value["entries"][1]["type"], "folder");
        assert_eq!(value["complete"], false);
    }

    #[test]
    fn only_the_top_has_nothing_above_it() {
        let (_, top) = page(b"/", &[], false, PageFormat::Html);
        assert!(!String::from_utf8(top).unwrap().contains("../"));
        assert!(html("a", false).contains("<a href=\"../\">"));
    }

    #[test]
    fn sizes_are_short() {
        let cases = [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (10_239, "9.9 KiB"),
            (10_240, "10 KiB"),
            (1 << 20, "1.0 MiB"),
            (u64::MAX, "15 EiB"),
        ];
        for (bytes, expected) in cases {
            assert_eq!(size(bytes), expected);
        }
    }
}
