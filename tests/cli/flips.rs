//! One flipped byte costs neither memory nor time without end: every key and value of every table
//! of a log, read by every verb that reads, with limits on both.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use redb::{Key, ReadableTable as _, TableDefinition, Value};

use crate::support::Workspace;

/// Enough for any small log, and little beside what a length of eight bytes asks for.
const MEMORY_KIB_MAX: u64 = 2_000_000;
const SECONDS_MAX: u64 = 30;

/// A flip of the row `index` of one table: key or value, which byte, which bit.
#[derive(Clone, Copy, Debug)]
struct Flip {
    table: &'static str,
    row: usize,
    key: bool,
    byte: usize,
    bit: u8,
}

const TABLES: [&str; 7] =
    ["meta", "tail", "block_headers", "blocks", "tree", "stream_index", "checkpoints"];

fn flipped(bytes: &[u8], flip: Flip) -> Option<Vec<u8>> {
    let mut bytes = bytes.to_vec();
    *bytes.get_mut(flip.byte)? ^= 1 << flip.bit;
    Some(bytes)
}

/// Flips in a table whose key has `key` as its bytes; whether there was such a byte.
fn in_table<K: Key + 'static, V: Value + 'static>(
    txn: &redb::WriteTransaction,
    flip: Flip,
) -> bool {
    let name = TableDefinition::<K, V>::new(flip.table);
    let mut table = txn.open_table(name).unwrap();
    let rows = table.iter().unwrap().count();
    let nth = match flip.row {
        0 => 0,
        1 => rows / 2,
        _ => rows.saturating_sub(1),
    };
    let Some(row) = table.iter().unwrap().nth(nth) else { return false };
    let row = row.unwrap();
    let key = K::as_bytes(&row.0.value()).as_ref().to_vec();
    let value = V::as_bytes(&row.1.value()).as_ref().to_vec();
    drop(row);
    let (new_key, new_value) = match flip.key {
        true => (flipped(&key, flip), Some(value)),
        false => (Some(key.clone()), flipped(&value, flip)),
    };
    let (Some(new_key), Some(new_value)) = (new_key, new_value) else { return false };
    // A text may not be one any more.
    if flip.table == "meta" && std::str::from_utf8(&new_key).is_err()
        || flip.table == "checkpoints" && std::str::from_utf8(&new_value).is_err()
    {
        return false;
    }
    table.remove(K::from_bytes(&key)).unwrap();
    table.insert(K::from_bytes(&new_key), V::from_bytes(&new_value)).unwrap();
    true
}

fn apply(path: &Path, flip: Flip) -> bool {
    let db = redb::Database::open(path).unwrap();
    let txn = db.begin_write().unwrap();
    let done = match flip.table {
        "meta" => in_table::<&str, &[u8]>(&txn, flip),
        "tail" | "block_headers" => in_table::<u64, &[u8]>(&txn, flip),
        "blocks" => in_table::<(u64, u16), &[u8]>(&txn, flip),
        "tree" => in_table::<(u8, u64), &[u8; 32]>(&txn, flip),
        "stream_index" => in_table::<(&[u8; 17], u64), u64>(&txn, flip),
        "checkpoints" => in_table::<u64, &str>(&txn, flip),
        other => panic!("{other}"),
    };
    txn.commit().unwrap();
    done
}

/// Runs a verb with a limit on memory and time; its exit code.
pub fn limited(ward: &Workspace, args: &[&str]) -> i32 {
    let mut command = Command::new("sh");
    let limits = format!("ulimit -v {MEMORY_KIB_MAX}; exec \"$0\" \"$@\"");
    command.args(["-c", &limits, env!("CARGO_BIN_EXE_annals")]).args(args);
    command.current_dir(&ward.root).env_clear().env("HOME", ward.home());
    command.env("PATH", "/usr/bin:/bin").env("ANNALS_ACTOR", "mara").env("MALLOC_ARENA_MAX", "2");
    let mut child =
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let until = Instant::now() + Duration::from_secs(SECONDS_MAX);
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status.code().unwrap_or(-1);
        }
        if Instant::now() > until {
            child.kill().unwrap();
            child.wait().unwrap();
            return -2;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_flipped_byte_costs_no_memory_and_no_time() {
    let ward = Workspace::new();
    ward.allow_synthetic();
    ward.train("one", &["--set", "training.num_epochs=2"]).ok();
    // Sealed blocks, too.
    ward.annals(&["run", "start", "--name", "long"]).ok();
    let script = "for n in $(seq 1 1100); do echo '{\"loss\": 0.5}'; done";
    ward.annals(&["run", "exec", "--name", "two", "--", "sh", "-c", script]).ok();
    for n in 0..40 {
        ward.annals(&["note", "one", &format!("note {n}")]).ok();
    }
    let whole = ward.read(".annals/log.redb");
    let mut flips = Vec::new();
    for table in TABLES {
        for row in 0..3 {
            // The high bits of every byte of a key, and of the first of a value.
            flips.extend((0..25).flat_map(|byte| {
                [(true, 7), (true, 0), (false, 7)].map(|(key, bit)| Flip {
                    table,
                    row,
                    key,
                    byte,
                    bit,
                })
            }));
        }
    }
    let verbs: [&[&str]; 10] = [
        &["list", "--log", "flipped.redb"],
        &["audit", "--log", "flipped.redb"],
        &["audit"],
        &["log", "--log", "flipped.redb"],
        &["query", "--log", "flipped.redb", "select count(*) from events"],
        &["report", "--log", "flipped.redb", "--out", "report.md"],
        &["why", "one", "--log", "flipped.redb"],
        &["verify", "--log", "flipped.redb"],
        &["list"],
        &["status"],
    ];
    let (mut tried, log) = (0, ward.path(".annals/log.redb"));
    for (index, flip) in flips.into_iter().enumerate() {
        std::fs::write(&log, &whole).unwrap();
        if !apply(&log, flip) {
            continue;
        }
        std::fs::copy(&log, ward.path("flipped.redb")).unwrap();
        // The tail is where it was met; elsewhere verbs take turns.
        let every = flip.key && ["tail", "block_headers"].contains(&flip.table) && flip.bit == 7;
        let some = if every { &verbs[..4] } else { &verbs[index % verbs.len()..][..1] };
        for verb in some {
            let code = limited(&ward, verb);
            let known = [0, 1, 3, 4, 5, 6, 7, 9, 10];
            assert!(known.contains(&code), "{verb:?} ends with {code} after {flip:?}");
        }
        tried += 1;
    }
    assert!(tried > 200, "only {tried} flips were tried");
}
